/**
 * Kong Gateway. Its own refusals have `Server: kong/…`; what came from the backend has `Via: kong/…` and
 * `X-Kong-Upstream-Latency`, and so have the 502 and 504 that it makes when the backend failed. Both can be switched off, so its
 * sentences count as well where nothing says that they are the backend's.
 */
import { gatewayAdapter, type Sign } from '../gateway.ts';
import type { Refusal } from '../refusal.ts';
import { kongExtensions } from './extensions.ts';
import { kongFacts } from './facts.ts';

const noCredentials =
  /^(?:No API key found in request|Invalid authentication credentials|Unauthorized|Bad token; invalid .*|Invalid (?:signature|algorithm)|No credentials found for given .*)$/;
const noUpstream =
  /^(?:The upstream server is (?:timing out|currently unavailable)|An invalid response was received from the upstream server|name resolution failed)$/;

const signs: readonly Sign[] = [
  ['upstream', [502, 503, 504], noUpstream],
  ['unauthenticated', 401, (refusal) => isOwn(refusal, noCredentials) || isExpired(refusal)],
  ['forbidden', 403, (refusal) => isOwn(refusal, /^You cannot consume this service$/)],
  ['quota', 429, (refusal) => isOwn(refusal, limited) && isLongWindow(refusal)],
  ['throttled', 429, (refusal) => isOwn(refusal, limited)],
  ['too-large', [413, 417], (refusal) => isOwn(refusal, /^Request size limit exceeded$/)],
  ['too-large', 411, (refusal) => isOwn(refusal, /^A valid Content-Length header is required$/)],
  ['no-route', 404, (refusal) => isOwn(refusal, /^no Route matched with those values$/)],
];

const limited = /^API rate limit exceeded$/;

export const kong = gatewayAdapter({
  name: 'kong',
  facts: kongFacts,
  extensions: kongExtensions,
  identityHeaders: [
    'x-consumer-id',
    'x-consumer-custom-id',
    'x-consumer-username',
    'x-consumer-groups',
    'x-credential-identifier',
    'x-anonymous-consumer',
    'x-authenticated-groups',
  ],
  credentialHeader: 'apikey',
  signs,
});

/** By its header fields, whatever its sentences were changed to; else by its sentence, unless the backend said it. */
function isOwn(refusal: Refusal, sentence: RegExp): boolean {
  if (cameFromBackend(refusal)) return false;
  return /^kong\//i.test(refusal.field('server')) || sentence.test(refusal.message);
}

function cameFromBackend({ field }: Refusal): boolean {
  return field('x-kong-upstream-latency') !== '' || /\bkong\//i.test(field('via'));
}

/** A token that has expired is told by the name of its claim: `{"exp":"token expired"}`. */
function isExpired(refusal: Refusal): boolean {
  return !cameFromBackend(refusal) && refusal.members?.['exp'] === 'token expired';
}

/** What a day, a month or a year allows is used up: that is no matter of sending more slowly. */
function isLongWindow({ field }: Refusal): boolean {
  return ['day', 'month', 'year'].some((window) => field(`x-ratelimit-remaining-${window}`) === '0');
}
