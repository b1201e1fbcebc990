/**
 * An adapter from what is known of one gateway: a list of signs by which its own refusals are told. A sign is never a status
 * alone, which a backend can send as well. What shows no sign is read by its status as the generic adapter reads it, and does
 * not count as the gateway's word.
 */
import type { ErrorCode } from '../gateway/core/errors.ts';
import type { Reply } from '../gateway/core/exchange.ts';
import type { Adapter } from '../gateway/core/adapter.ts';
import type { GatewayExtensions } from '../gateway/core/gateway-extensions.ts';
import type { GatewayFacts } from '../gateway/core/gateway-facts.ts';
import type { Fault, FaultKind, Profile } from '../gateway/core/profile.ts';
import { credentialHandling } from './credentials.ts';
import { identityReading } from './identity.ts';
import { genericFault } from './generic/fault.ts';
import { readRefusal, type Refusal } from './refusal.ts';
import { waitMs } from './wait.ts';

/** A kind of refusal, the statuses it comes with, and what else tells it: its message, or anything about it. */
export type Sign = readonly [
  kind: FaultKind,
  statuses: number | readonly number[],
  shows: RegExp | ((refusal: Refusal) => boolean),
];

/** What is known of a gateway. */
export interface GatewayTable {
  readonly name: string;
  /** Header names, in lower case, that it adds for its backends; a `*` at the end stands for any rest. */
  readonly identityHeaders: readonly string[];
  /** The field in which it looks for credentials; left out: there is no usual one. */
  readonly credentialHeader?: string;
  readonly renamed?: Profile['renamed'];
  readonly facts: GatewayFacts;
  readonly extensions?: GatewayExtensions;
  /** The first that fits counts. */
  readonly signs: readonly Sign[];
}

export function gatewayAdapter(table: GatewayTable): Adapter {
  const { name, identityHeaders, credentialHeader, renamed, facts, extensions, signs } = table;
  const replies = { fault: (reply: Reply) => faultOf(reply, name, signs), ...(renamed && { renamed }) };
  return adapterOf({ name, identityHeaders, credentialHeader, facts, ...(extensions && { extensions }) }, replies);
}

/** For any gateway: `replies` is what is known of its answers. */
export function adapterOf(known: Omit<Adapter, 'profile'>, replies: Pick<Profile, 'fault' | 'renamed'>): Adapter {
  const { name, identityHeaders, credentialHeader } = known;
  return {
    ...known,
    profile(settings) {
      const { ownHeaders, ...handling } = credentialHandling(settings, credentialHeader);
      const reading = identityReading(settings);
      const ours = [...identityHeaders, ...ownHeaders, ...reading.hidden];
      return { name, identityHeaders: ours, ...replies, ...handling, ...reading };
    },
  };
}

function faultOf(reply: Reply, name: string, signs: readonly Sign[]): Fault {
  const refusal = readRefusal(reply);
  const kind = signs.find((sign) => fits(sign, refusal))?.[0];
  if (kind === undefined && reply.status < 300) return described('not-ours', undefined);
  if (kind === undefined) return genericFault(reply);
  const isLimit = kind === 'throttled' || kind === 'quota';
  const wait = waitMs(isLimit ? refusal : { ...refusal, field: onlyRetryAfter(refusal), message: '' });
  return { ...described(kind, wait), by: name };
}

function fits([, statuses, shows]: Sign, refusal: Refusal): boolean {
  const isStatus = typeof statuses === 'number' ? refusal.status === statuses : statuses.includes(refusal.status);
  return isStatus && (shows instanceof RegExp ? shows.test(refusal.message) : shows(refusal));
}

/** Limit fields stand on every answer, and mean a wait on those of a limit only. */
function onlyRetryAfter({ field }: Refusal): Refusal['field'] {
  return (lowerName) => (lowerName === 'retry-after' ? field(lowerName) : '');
}

function described(kind: FaultKind, retryAfterMs: number | undefined): Fault {
  const [code, detail] = meanings[kind];
  return { kind, code, detail, ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

/** For clients: nothing of what the gateway wrote itself, which may name keys or addresses. */
const meanings: Readonly<Record<FaultKind, readonly [ErrorCode, string]>> = {
  unauthenticated: ['unauthorized', 'The gateway refused the credentials.'],
  forbidden: ['forbidden', 'The gateway does not allow this.'],
  throttled: ['rate-limited', 'The gateway has seen too many requests.'],
  quota: ['rate-limited', 'The quota at the gateway is used up.'],
  'too-large': ['message-too-large', 'The message is too large for the gateway.'],
  'no-route': ['no-route', 'The gateway has no route for this.'],
  upstream: ['downstream-fault', 'The gateway could not reach the backend.'],
  'not-ours': ['bad-reply', 'The answer was not one of WebSocket-over-HTTP.'],
};
