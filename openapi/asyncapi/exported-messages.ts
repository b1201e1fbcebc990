/** The messages of a channel of an AsyncAPI document, from the policies `message-schema` of its route. */
import { isDeepStrictEqual } from 'node:util';
import { constantsIn } from './channel-kinds.ts';
import type { EmbeddedSchemas } from '../schema/embedded-schema.ts';
import { pathOf } from '../messages/message-kinds.ts';
import type { Mapping } from '../../gateway/core/mapping.ts';

/** Who sends it, in the words of the policy. */
export type Sender = 'client' | 'backend';

export interface DocumentedMessages {
  /** `messages` of the channel. */
  readonly messages: Mapping;
  /** The names in `messages` that each of the two may send. */
  readonly sent: Readonly<Record<Sender, readonly string[]>>;
  /** `x-foregate-messages`: how the messages are told apart, and what is done with others. Undefined: policies say it. */
  readonly rules: Mapping | undefined;
  /** How many policies at the end of the list are said by all this. */
  readonly said: number;
}

/** What two policies of a route must have in common to be said at once, and last what only one for clients has. */
const ruleNames = ['by', 'default', 'over', 'text', 'closeCode'] as const;

/**
 * `policies` have all their options and the schemas themselves (`inline`); `channel` is the name of the channel.
 * @throws UnsayableSchema
 */
export function documentedMessages(policies: readonly Mapping[], schemas: EmbeddedSchemas): DocumentedMessages {
  const said = saidAtTheEnd(policies);
  const messages = new Map<string, Mapping>();
  const sentBy = (sender: Sender): string[] => {
    const policy = policies.findLast((one) => one['use'] === 'message-schema' && one['dryRun'] !== true && isFrom(one, sender));
    return policy === undefined ? [added(messages, anything, 'anything')] : described(policy, messages, schemas);
  };
  const sent = { client: sentBy('client'), backend: sentBy('backend') };
  const [first] = policies.slice(policies.length - said);
  const rules = first === undefined ? undefined : rulesOf(first);
  return { messages: Object.fromEntries(messages), sent, rules, said };
}

const anything: Mapping = { name: 'anything', summary: 'Any text or bytes.' };

/** The last policies, if they are the only ones: one for each sender, or one for both, with the same rules. */
function saidAtTheEnd(policies: readonly Mapping[]): number {
  const count = policies.filter(isCheck).length;
  const [last, before] = policies.toReversed();
  if (last === undefined || !isSayable(last)) return 0;
  if (count === 1) return 1;
  return count === 2 && before !== undefined && isSayable(before) && arePair(before, last) ? 2 : 0;
}

function arePair(first: Mapping, second: Mapping): boolean {
  const { closeCode: _ofClients, ...rules } = rulesOf(first);
  return first['from'] === 'client' && second['from'] === 'backend' && isDeepStrictEqual(rules, rulesOf(second));
}

function isCheck({ use, dryRun }: Mapping): boolean {
  return use === 'message-schema' && dryRun !== true;
}

/** What is only for publishers has no place among the rules. */
function isSayable(policy: Mapping): boolean {
  return isCheck(policy) && policy['eventStreams'] !== true && policy['channels'] === undefined;
}

function isFrom({ from }: Mapping, sender: Sender): boolean {
  return from === sender || from === 'both';
}

/** The close code is one for messages of clients. */
function rulesOf(policy: Mapping): Mapping {
  const names = policy['from'] === 'backend' ? ruleNames.slice(0, -1) : ruleNames;
  return Object.fromEntries(names.flatMap((name) => (policy[name] === undefined ? [] : [[name, policy[name]]])));
}

/** The names of the messages that a policy has schemas for. */
function described(policy: Mapping, messages: Map<string, Mapping>, schemas: EmbeddedSchemas): string[] {
  const by = String(policy['by']);
  return Object.entries(policy['schemas'] as Readonly<Record<string, Mapping>>).map(([kind, { inline }]) => {
    const payload = schemas.embed(inline, kind);
    const summary = `${JSON.stringify(by)} is ${JSON.stringify(kind)}.`;
    const known = constantsIn(payload, pathOf(by), schemas);
    // Else its payload, or its name, says the same.
    const own = known.length > 0 && !isDeepStrictEqual(known, [kind]) && { 'x-foregate-kind': kind };
    return added(messages, { name: kind, summary, contentType: 'application/json', payload, ...own }, kind);
  });
}

/** The name under which a message stands among others; equal ones stand there once. */
function added(messages: Map<string, Mapping>, message: Mapping, kind: string): string {
  const word = kind.replaceAll(/[^A-Za-z0-9._-]/g, '-');
  const plain = word === '' || word in Object.prototype ? `message-${word}` : word;
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? plain : `${plain}-${number}`;
    const known = messages.get(name);
    if (known !== undefined && !isDeepStrictEqual(known, message)) continue;
    messages.set(name, message);
    return name;
  }
}
