/**
 * Tyk Gateway: `{"error": "…"}`. A quota that is used up is a 403, a backend that failed a 500, and a body that is too large a
 * 400. `X-RateLimit-*` is the key's quota and stands on answers of the backend.
 */
import { gatewayAdapter, type Sign } from '../gateway.ts';
import { hasOnly, type Refusal } from '../refusal.ts';
import { tykExtensions } from './extensions.ts';
import { tykFacts } from './facts.ts';

const signs: readonly Sign[] = [
  ['unauthenticated', 401, says(/^(?:Authorization field missing|Key has expired, please renew)$/)],
  ['quota', 403, says(/^Quota exceeded$/i)],
  [
    'forbidden',
    403,
    says(/^(?:Access to this API has been disallowed|Requested endpoint is forbidden|Key is inactive, please renew)$/),
  ],
  ['throttled', 429, says(/^(?:API )?rate limit exceeded$/i)],
  ['too-large', 400, says(/^Request is too large$/)],
  ['too-large', 411, says(/^Content length is required for this request$/)],
  ['upstream', 504, says(/^Upstream service reached hard timeout\.$/)],
  ['upstream', 500, says(/^There was a problem proxying the request$/)],
  ['no-route', 404, isUnknownApi],
];

export const tyk = gatewayAdapter({
  name: 'tyk',
  identityHeaders: ['x-tyk-*'],
  credentialHeader: 'Authorization',
  facts: tykFacts,
  extensions: tykExtensions,
  signs,
});

function says(sentence: RegExp): (refusal: Refusal) => boolean {
  return (refusal) => hasOnly(refusal, 'error') && sentence.test(refusal.message);
}

/** The one refusal without JSON; the longer text comes also while it starts. What a backend answers has fields of its limit. */
function isUnknownApi({ field, message }: Refusal): boolean {
  return (
    /^(?:Not Found|404 page not found)$/.test(message) &&
    /^text\/plain\b/i.test(field('content-type')) &&
    field('x-ratelimit-limit') === ''
  );
}
