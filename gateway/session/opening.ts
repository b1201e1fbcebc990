/**
 * The opening of a WebSocket session: OPEN goes to the route's targets until one can be reached, and is asked again while the
 * backend says "not yet" (GRIP 2.4). Only OPEN may move on to the next target; then the target stays.
 */
import { errors, ForegateError, toForegateError } from '../core/errors.ts';
import type { Dialect } from '../core/dialect.ts';
import type { Reply } from '../core/exchange.ts';
import { normalName, withoutHeaders, type HeaderList } from '../core/headers.ts';
import type { Accept, Step } from '../core/instruction.ts';
import { deny } from '../core/policy.ts';
import type { Route, Target } from '../core/route.ts';
import type { Denial } from '../core/session.ts';
import { buildHead, hostOf, withOwnNames } from '../downstream/request-head.ts';
import type { BackendSocket } from '../downstream/websocket-client.ts';
import { clientLastIds } from './client-last-ids.ts';
import { exchange, sendOnce, type Outcome } from './exchange.ts';
import { lastFields, type LastIds } from './place.ts';
import { openRelay } from './relay.ts';
import type { WebSocketSession } from './websocket-session.ts';

export type Opening =
  /** `steps`: what else the reply carried. `backend`: the other socket of a relayed session. */
  | { readonly kind: 'accepted'; readonly accept: Accept; readonly steps: readonly Step[]; readonly backend?: BackendSocket }
  /** The client gets this answer instead of its 101. */
  | { readonly kind: 'refused'; readonly reply: Reply }
  | Denial;

const openBatch = { events: [{ kind: 'open' }], replayedBytes: 0, more: false } as const;
const goneBatch = { events: [{ kind: 'disconnect' }], replayedBytes: 0, more: false } as const;

/** The client while its handshake is open. */
export interface Waiting {
  readonly left: boolean;
  /** Resolves after `ms`, or as soon as the client has left. */
  remains(ms: number): Promise<void>;
}

/** @throws ForegateError when no target could be reached, the reply is none, or the client left before it was asked again */
export async function openUpstream(session: WebSocketSession, client: Waiting): Promise<Opening> {
  const lastIds = takeLastIds(session);
  if (lastIds === 'invalid') return badLastIds;
  let failure = new ForegateError('downstream-unreachable');
  for (const target of session.route.targets) {
    session.target = target;
    session.head = buildHead(session.request, session.route, target, session.consumed);
    await target.profile.prepare(session.head, session);
    const { head } = session;
    if (lastIds !== undefined) session.head = { ...head, headers: [...head.headers, ...lastFields(lastIds)] };
    try {
      return await openAt(session, target, client);
    } catch (thrown) {
      failure = toForegateError(thrown);
      if (!errors[failure.code].retry) break;
    } finally {
      session.head = head; // The ids are told with OPEN alone.
    }
  }
  throw failure.code === 'downstream-unreachable' ? unreachable(session.route, failure) : failure;
}

function unreachable({ targets }: Route, cause: ForegateError): ForegateError {
  const tried = targets.map(({ origin }) => hostOf(origin)).join(', ');
  return new ForegateError('downstream-unreachable', `Unable to connect to any targets. Tried: ${tried}`, { cause });
}

const badLastIds = deny(
  'bad-request',
  'Foregate-Last is not valid: it lists channels as <channel>; last-id=<id>, not more than one may subscribe to.',
);

/** What the client has of channels, by their names without the route's prefix. */
function takeLastIds(session: WebSocketSession): LastIds | 'invalid' | undefined {
  const { route, request } = session;
  const said = route.grip === undefined ? undefined : clientLastIds(request, route);
  if (said === undefined || said === 'invalid') return said;
  session.consumed.push(...said.consumed);
  session.comesBackWith(said.ids);
  return [...said.ids].map(([channel, id]) => [channel.slice(route.channelPrefix.length), id]);
}

async function openAt(session: WebSocketSession, target: Target, client: Waiting): Promise<Opening> {
  const { dialect } = target;
  if (dialect === undefined) return forClient(await openRelay(session), session);
  for (;;) {
    const outcome = await exchange(session, dialect, openBatch, sendOnce);
    if (outcome.kind === 'deny' && outcome.unheard?.some(({ kind }) => kind === 'accept') === true) recall(session, dialect);
    const opening = readOutcome(outcome);
    if (opening.kind !== 'wait') return forClient(opening, session);
    for (const step of opening.steps) if (step.kind === 'set-state') session.instruct(step);
    await client.remains(opening.intervalMs);
    if (client.left) throw new ForegateError('downstream-lost', 'The client left before it was accepted.');
  }
}

/** A backend that accepted a client whom policies then refused hears that it is gone, if it can be told; nobody waits for that. */
function recall(session: WebSocketSession, dialect: Dialect): void {
  exchange(session, dialect, goneBatch, sendOnce).catch(() => undefined);
}

type Answer = Opening | { readonly kind: 'wait'; readonly intervalMs: number; readonly steps: readonly Step[] };

function readOutcome(outcome: Outcome): Answer {
  if (outcome.kind === 'deny') return outcome;
  if (outcome.kind === 'fault') return { kind: 'refused', reply: outcome.reply };
  const accept = outcome.steps.find((step) => step.kind === 'accept');
  if (accept !== undefined) return { kind: 'accepted', accept, steps: outcome.steps.filter((step) => step !== accept) };
  const wait = outcome.steps.find((step) => step.kind === 'ask-every');
  return { kind: 'wait', intervalMs: wait?.intervalMs ?? 0, steps: outcome.steps };
}

/** Clients find fields under their own names, and none that the route hides. */
function forClient(opening: Opening, { route: { hides }, target: { profile } }: WebSocketSession): Opening {
  if (opening.kind === 'deny' || (hides === undefined && profile.renamed === undefined)) return opening;
  const shown = (headers: HeaderList): HeaderList => {
    const named = withOwnNames(headers, profile);
    return hides === undefined ? named : withoutHeaders(named, (name) => hides(normalName(name)));
  };
  if (opening.kind === 'refused') return { ...opening, reply: { ...opening.reply, headers: shown(opening.reply.headers) } };
  return { ...opening, accept: { ...opening.accept, headers: shown(opening.accept.headers) } };
}
