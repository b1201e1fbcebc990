/** Limits how many connections one caller may have open at the same time. Each has a lease in the store from its arrival to its end. */
import { Type } from 'typebox';
import { definePolicy, deny, type Policy, type Verdict } from '../gateway/core/policy.ts';
import { isPromise } from '../gateway/core/promise.ts';
import type { SessionView } from '../gateway/core/session.ts';
import { By, callerKey, callerOf } from './caller.ts';
import { AnswerText, answerText, Over, overOf } from './over.ts';

const ConcurrencyOptions = Type.Object(
  {
    max: Type.Integer({ minimum: 1, description: 'Connections of one caller that may be open at the same time.' }),
    by: By({ default: 'address', description: 'Who shares a count.' }),
    over: Over({
      default: 'refuse',
      description:
        'What happens when one more comes: it is refused with status 429 (`refuse`); a WebSocket is let in only to be closed at once with `code`, which pages can read unlike a status (`close`), or to get an error message before that (`answer`); or it is let in and the oldest of the same caller ends (`evict`). With `evict`, put this policy behind those that recognise callers, or a stranger who will be refused ends the connection of somebody else.',
    }),
    text: AnswerText('With `over: answer`, the text message that is sent instead of the usual one.'),
    code: Type.Integer({
      minimum: 4000,
      maximum: 4999,
      default: 4429,
      description:
        'Close code of a WebSocket that ends for a newer one, or of one too many. A held response is answered with status 429, a stream ends.',
    }),
  },
  {
    additionalProperties: false,
    description:
      'WebSockets, streams and long-polls count from their arrival to their end, also while the backend has not answered; so do other HTTP requests, for the short time they last. A reload keeps the count as long as the policy stays at its place in the list of its route.',
  },
);

export const concurrency = definePolicy({
  name: 'concurrency',
  summary: 'Limits how many connections one caller may have open at the same time.',
  options: ConcurrencyOptions,
  create({ max, by, over: word, code, text }, { store, scope }): Policy {
    const over = overOf(word, { possible, what: 'connections at a time', reasons, text });
    const keyOf = callerKey(by, {
      session: 'Connections cannot be counted by session: each session is one connection.',
      channel: 'Connections cannot be counted by channel.',
    });
    const detail = `Too many connections at once: ${max} are allowed.`;
    const action = over === 'close' || over === 'answer' ? { action: over, closeCode: code } : {};
    const refused = deny('rate-limited', detail, { ...action, ...answerText(text, { detail }) });
    const evicted = deny('rate-limited', 'A newer connection took the place of this one.', { closeCode: code });
    const leases = new WeakMap<SessionView, string>();
    /** A client may leave while a policy before this one still decides, or the store. */
    const gone = new WeakSet<SessionView>();

    return {
      connect(session) {
        if (gone.has(session)) return refused;
        const key = `${scope}:${keyOf(callerOf(session))}`;
        const settle = (granted: boolean): Verdict => {
          if (!granted) return refused;
          if (gone.has(session)) store.release(key, session.id);
          else leases.set(session, key);
          return undefined;
        };
        const terms = { max, over: over === 'evict' ? over : 'refuse' } as const;
        const granted = store.lease(key, { id: session.id, lost: () => session.end(evicted) }, terms);
        return isPromise(granted) ? granted.then(settle) : settle(granted);
      },
      disconnect(session) {
        gone.add(session);
        const key = leases.get(session);
        if (key === undefined) return;
        leases.delete(session);
        store.release(key, session.id);
      },
    };
  },
});

const possible = ['refuse', 'close', 'answer', 'evict'] as const;
const reasons = {
  delay: 'Nobody knows when one of the others will end.',
  drop: 'A client without any answer would only come again at once.',
};
