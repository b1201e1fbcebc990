/** The messages of a backend that are meant for its client, as `response` finds them among the steps of a reply. */
import { isMessage, type Message } from '../gateway/core/event.ts';
import type { GripSocket } from '../gateway/core/instruction.ts';
import type { Policy } from '../gateway/core/policy.ts';
import type { Denial, SessionView } from '../gateway/core/session.ts';
import { readGripMessage } from '../gateway/wire/grip-socket.ts';

/** Where GRIP is on in the socket, messages for the client have a prefix, and others are for Foregate (GRIP 3.1). */
export function checkBackendMessages(check: (message: Message) => Denial | undefined): NonNullable<Policy['response']> {
  const sockets = new WeakMap<SessionView, GripSocket>();
  return (session, _reply, steps) => {
    for (const step of steps) {
      if (step.kind === 'accept' && step.grip !== undefined) sockets.set(session, step.grip);
      if (!isMessage(step)) continue;
      const grip = sockets.get(session);
      const read = grip === undefined ? step : readGripMessage(step, grip, '');
      const denial = read !== undefined && isMessage(read) ? check(read) : undefined;
      if (denial !== undefined) return denial;
    }
    return undefined;
  };
}
