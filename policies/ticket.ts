/**
 * Changes a credential that no page can send with a WebSocket or an event stream into a ticket that stands in the URL: good once, on
 * the same route, for seconds. The policies before it say who somebody is.
 */
import { Type } from 'typebox';
import { Duration, toMs } from '../gateway/core/duration.ts';
import { ForegateError } from '../gateway/core/errors.ts';
import { limits } from '../gateway/core/limits.ts';
import {
  definePolicy,
  deny,
  type ConnectVerdict,
  type Policy,
  type PolicyContext,
  type Verdict,
} from '../gateway/core/policy.ts';
import { isPromise, type MaybePromise } from '../gateway/core/promise.ts';
import { Secret, secretBytes } from '../gateway/core/secret.ts';
import type { Denial, Identity, SessionView } from '../gateway/core/session.ts';
import type { Taken } from '../gateway/core/store.ts';
import { findCredential } from '../gateway/core/credential.ts';
import { Expiry } from './expiry.ts';
import { TicketSeal, type Ticket } from './sealed-ticket.ts';

const TicketOptions = Type.Object(
  {
    path: Type.String({
      pattern: '^/[^?#]*$',
      default: '/tickets',
      description: 'A POST to this path of the route is answered with a ticket, as `{"ticket": "...", "expiresIn": 10}`.',
    }),
    parameter: Type.String({
      minLength: 1,
      default: 'ticket',
      description: 'The query parameter with the ticket. It does not go on to the backend.',
    }),
    lifetime: Duration({ default: '10s', description: 'How long a ticket is good, 1 second to 5 minutes.' }),
    secret: Type.Optional(
      Secret({
        description:
          'Closes the tickets; at least 32 bytes, `base64:...` for bytes. Needed where several programs serve the same clients. Without it a ticket is good at the one that made it, and all its workers.',
      }),
    ),
  },
  { additionalProperties: false },
);

export const ticket = definePolicy({
  name: 'ticket',
  summary: 'Gives tickets for URLs to clients that policies before it have recognised, and lets in who brings one.',
  options: TicketOptions,
  create(options, { clock, store, programKey }): Policy {
    const redeemed = new WeakMap<SessionView, Identity>();
    const terms: Terms = {
      seal: new TicketSeal(secretOf(options.secret) ?? programKey),
      lifetimeMs: lifetimeOf(options.lifetime),
      expiry: new Expiry(clock, {
        text: 'The credential of the ticket has expired.',
        prolonged: (session) => renewedUntil(session, redeemed.get(session)),
      }),
      redeemed,
      clock,
      store,
    };
    return {
      connect(session) {
        if (asksForTicket(session, options.path)) return issue(session, terms);
        const found = findCredential(session.request, { query: options.parameter });
        if (found.kind === 'none') return session.identity === undefined ? unknown : undefined;
        if (found.kind === 'unclear') return refuse(found.detail);
        session.consumed.push(...found.places);
        return redeem(session, found.value, terms);
      },
      held(session) {
        const identity = redeemed.get(session);
        if (identity !== undefined) terms.expiry.watch(session, identity.expiresAt);
      },
      disconnect: (session) => terms.expiry.forget(session),
    };
  },
});

interface Terms extends Pick<PolicyContext, 'clock' | 'store'> {
  readonly seal: TicketSeal;
  readonly lifetimeMs: number;
  readonly expiry: Expiry;
  /** Whose end is watched here, since another policy may not know them. */
  readonly redeemed: WeakMap<SessionView, Identity>;
}

function secretOf(secret: string | undefined): Buffer | undefined {
  if (secret === undefined) return undefined;
  const bytes = secretBytes(secret);
  if (bytes.length >= 32) return bytes;
  throw new ForegateError('bad-request', 'The secret must have at least 32 bytes.');
}

function lifetimeOf(text: string): number {
  const ms = toMs(text);
  if (ms >= 1000 && ms <= 300_000) return ms;
  throw new ForegateError('bad-request', `A lifetime of ${text} is not possible; it may have 1s to 5m.`);
}

function asksForTicket({ transport, request: { method, path } }: SessionView, wanted: string): boolean {
  return transport === 'request' && method === 'POST' && path.split('?', 1)[0] === wanted;
}

function issue({ identity, routeId }: SessionView, { seal, lifetimeMs, clock }: Terms): ConnectVerdict {
  if (identity === undefined) return unknown;
  const text = seal.close({ identity, until: clock.now() + lifetimeMs }, routeId);
  if (text.length > limits.credentialBytes) return deny('bad-request', 'The credential is too large for a ticket.');
  const body = Buffer.from(`${JSON.stringify({ ticket: text, expiresIn: Math.floor(lifetimeMs / 1000) })}\n`);
  const headers = ['Content-Type', 'application/json', 'Cache-Control', 'no-store'];
  return { kind: 'answer', reply: { status: 200, reason: '', headers, body } };
}

/** Clocks of the processes that share a store may differ by so much: a ticket must not be forgotten before all find it expired. */
const marginMs = 60_000;

function redeem(session: SessionView, text: string, terms: Terms): MaybePromise<Verdict> {
  const { seal, lifetimeMs, clock, store, expiry, redeemed } = terms;
  const opened = seal.open(text, session.routeId);
  if (opened === undefined) return refuse('The ticket is not valid.');
  if (opened.until <= clock.now()) return refuse('The ticket has expired.');
  if (!isSamePerson(session, opened)) return refuse('The ticket is of somebody else than the other credential.');
  const admit = ({ allowed }: Taken): Verdict => {
    if (!allowed) return refuse('The ticket was used before.');
    session.identity = opened.identity;
    redeemed.set(session, opened.identity);
    if (session.transport === 'websocket') expiry.watch(session, opened.identity.expiresAt);
    return undefined;
  };
  const taken = store.take(`ticket:${opened.id}`, { limit: 1, windowMs: lifetimeMs + marginMs }, 1);
  return isPromise(taken) ? taken.then(admit) : admit(taken);
}

function isSamePerson({ identity }: SessionView, { identity: { subject, by } }: Ticket): boolean {
  return identity === undefined || (identity.subject === subject && identity.by === by);
}

/** Who came by a ticket may bring a newer credential to the policy that vouches for it. */
function renewedUntil({ identity }: SessionView, ticketed: Identity | undefined): number {
  const isRenewed = identity !== ticketed && identity?.by === ticketed?.by && identity?.subject === ticketed?.subject;
  return isRenewed ? (identity?.expiresAt ?? Infinity) : 0;
}

const unknown = deny('unauthorized', 'A ticket is needed.', { headers: ['WWW-Authenticate', 'Bearer'] });

function refuse(detail: string): Denial {
  return deny('unauthorized', detail, { headers: ['WWW-Authenticate', 'Bearer error="invalid_token"'] });
}
