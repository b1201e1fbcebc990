/**
 * The straight line of one exchange: events out, steps back, in one request. Everything that a session sends downstream goes
 * through here: encode, add the session's head, hooks, send, is it a fault, decode, hooks.
 */
import type { Dialect } from '../core/dialect.ts';
import type { Batch, Decoded, Reply, RequestDraft, RequestHead } from '../core/exchange.ts';
import type { HeaderDraft } from '../core/headers.ts';
import { runHooks, type Hook, type OwnAnswer, type RouteHooks, type Verdict } from '../core/policy.ts';
import type { Step } from '../core/instruction.ts';
import type { Fault } from '../core/profile.ts';
import { isPromise, type MaybePromise } from '../core/promise.ts';
import { gripFor, type Route, type Target } from '../core/route.ts';
import type { Denial, SessionView } from '../core/session.ts';
import { faultText } from './fault-frame.ts';

/** What an exchange needs of its session. */
export interface Caller extends SessionView {
  readonly route: Route;
  readonly target: Target;
  readonly head: RequestHead;
  /** Numbers the requests of the session, from 1; one that is made again keeps its number. */
  nextRequest(repeated?: boolean): number;
}

export type Outcome =
  | ({ readonly kind: 'decoded' } & Decoded)
  /** Not a reply in the dialect: the gateway in between or the backend refused or failed. */
  | { readonly kind: 'fault'; readonly fault: Fault; readonly reply: Reply }
  | Denied;

/** `unheard`: steps of a reply that the policies do not let through. */
type Denied = Denial & { readonly unheard?: readonly Step[] };

export type Send = (caller: Caller, draft: RequestDraft) => Promise<Reply>;

/** Sends once; `repeat.ts` has the sender that tries again. */
export const sendOnce: Send = ({ target, route }, draft) =>
  target.downstream.send(draft, { replyBytes: route.limits.replyBytes, timeoutMs: target.timeoutMs });

/** @throws ForegateError what the downstream throws, and `bad-reply` */
export async function exchange(caller: Caller, dialect: Dialect, batch: Batch, send: Send): Promise<Outcome> {
  const { route, target } = caller;
  const draft = dress(dialect.encode(batch, caller), caller);
  const number = caller.nextRequest(batch.repeated);
  if (target.retry === 'idempotent') draft.headers.push('Idempotency-Key', `${caller.id}-${number}`);
  const before = await permitted(route.hooks.request, caller, draft);
  if (before !== undefined) return before;
  const reply = await send(caller, draft);
  if (!dialect.speaks(reply)) return { kind: 'fault', fault: target.profile.fault(reply), reply };
  const { steps, remaining } = dialect.decode(reply, batch, caller);
  const after = await permitted(route.hooks.response, caller, { reply, steps });
  return after === undefined ? { kind: 'decoded', steps, remaining } : { ...after, unheard: steps };
}

/** What a fault means for the client, in the words of a denial: the route says what happens. One that cannot wait is closed. */
export function denialOf(outcome: Exclude<Outcome, { kind: 'decoded' }>, { onFault, faultText: template }: Route): Denial {
  if (outcome.kind === 'deny') return outcome;
  const { kind, code, detail, retryAfterMs } = outcome.fault;
  const action = onFault[kind] === 'delay' ? 'close' : onFault[kind];
  const text = action === 'answer' && template !== undefined ? faultText(template, outcome.fault) : undefined;
  return {
    kind: 'deny',
    code,
    detail,
    action,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(text !== undefined && { text }),
  };
}

/** The session's head goes before the dialect's own fields; the signature is as fresh as the second. */
export function dress(own: Pick<RequestDraft, 'method' | 'headers' | 'body'>, { head, route, request }: Caller): RequestDraft {
  const headers = head.headers.concat(own.headers);
  const signer = gripFor(route, request)?.signer;
  if (signer !== undefined) headers.push('Grip-Sig', signer.sign());
  return { method: own.method, path: head.path, headers, body: own.body };
}

/** Whether a client that has arrived comes in: a denial, a policy's own answer to it, or undefined to go on. */
export async function admitted(
  { connect }: Pick<RouteHooks, 'connect'>,
  session: SessionView,
  answer: HeaderDraft,
): Promise<Denial | OwnAnswer | undefined> {
  const verdict = await runHooks(connect, session, answer);
  return verdict?.kind === 'answer' ? verdict : settled(verdict);
}

/** A denial, or undefined to go on; `delay` is waited for here. */
export function permitted<Detail>(
  hooks: readonly Hook<SessionView, Detail>[],
  session: SessionView,
  detail: Detail,
): MaybePromise<Denial | undefined> {
  const verdict = runHooks(hooks, session, detail);
  if (isPromise(verdict)) return verdict.then(settled);
  return verdict === undefined ? undefined : settled(verdict);
}

async function settled(verdict: Verdict): Promise<Denial | undefined> {
  if (verdict?.kind === 'delay') await new Promise((resolve) => setTimeout(resolve, verdict.ms));
  return verdict?.kind === 'deny' ? verdict : undefined;
}
