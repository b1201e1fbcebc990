/**
 * What happens to something over a limit, or against a rule: the same words for every policy. Where a word would mean nothing the
 * configuration is refused, with the reason.
 */
import { Type } from 'typebox';
import { ForegateError } from '../gateway/core/errors.ts';
import { derivedMark } from '../gateway/core/setting-types.ts';
import type { Denial } from '../gateway/core/session.ts';
import { seconds } from './limit-fields.ts';

/** `evict` is for connections at a time only: the newcomer comes in, and the oldest goes. */
const words = ['refuse', 'close', 'drop', 'delay', 'answer', 'evict'] as const;
export type Over = (typeof words)[number];

/** The option `over`; what a policy cannot do is said by {@link overOf}, with the reason. */
export function Over(options: { readonly default: Over; readonly description: string }) {
  return Type.Enum([...words], options);
}

/** The same where the default depends on other options. */
export function DerivedOver({ default: said, description }: { readonly default: string; readonly description: string }) {
  return Type.Optional(Type.Enum([...words], { [derivedMark]: said, description }));
}

/** The option `text` beside it. */
export function AnswerText(description: string) {
  return Type.Optional(Type.String({ minLength: 1, description }));
}

interface OverRules<Possible extends Over> {
  readonly possible: readonly Possible[];
  /** What is limited, as the end of "is not possible for ...". */
  readonly what: string;
  /** Why another word is not possible, as a sentence. */
  readonly reasons: Readonly<Partial<Record<Over, string>>>;
  /** Of the option `text`. */
  readonly text?: string | undefined;
}

/** @throws ForegateError `bad-request` for a word that would mean nothing there, and for a `text` that nobody would get */
export function overOf<Possible extends Over>(over: Over, { possible, what, reasons, text }: OverRules<Possible>): Possible {
  const chosen = possible.find((word) => word === over);
  if (chosen === undefined) {
    const reason = reasons[over] ?? usualReasons[over];
    throw wrong(`"over: ${over}" is not possible for ${what}; it may be ${possible.join(', ')}. ${reason}`);
  }
  if (text !== undefined && over !== 'answer') throw wrong('"text" is what "over: answer" says.');
  return chosen;
}

const usualReasons: Readonly<Record<Over, string>> = {
  refuse: 'A message in a WebSocket has no HTTP answer that could refuse it; handshakes and plain requests are refused always.',
  close: 'There is no WebSocket to close.',
  drop: 'Nobody would learn that there was anything.',
  delay: 'It would be the same after a wait.',
  answer: 'There is no WebSocket to answer in.',
  evict: 'Only connections at a time can end for newer ones.',
};

/** What a `text` says: with the seconds to wait for `{wait}`, and for `{detail}` the sentence, as it stands inside a JSON string. */
export function answerText(
  text: string | undefined,
  { waitMs = 0, detail }: { readonly waitMs?: number; readonly detail: string },
): Pick<Denial, 'text'> {
  if (text === undefined) return {};
  const values = { '{wait}': String(seconds(waitMs)), '{detail}': JSON.stringify(detail).slice(1, -1) };
  return { text: text.replaceAll(/\{wait\}|\{detail\}/g, (name) => values[name as keyof typeof values]) };
}

function wrong(message: string): ForegateError {
  return new ForegateError('bad-request', message);
}
