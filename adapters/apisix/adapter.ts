/**
 * Apache APISIX: a sentence in `message` or `error_msg`, sent as text, or a page of nginx. Its limits are 503 unless they are
 * set to another status; a page with `X-APISIX-Upstream-Status` is about the backend.
 */
import { gatewayAdapter } from '../gateway.ts';
import { hasOnly, type Refusal } from '../refusal.ts';
import { apisixFacts } from './facts.ts';

const noCredentials = /^(?:(?:Missing|Invalid) API key(?: found)? in request|Missing JWT token in request|JWT token invalid)$/;

export const apisix = gatewayAdapter({
  name: 'apisix',
  facts: apisixFacts,
  identityHeaders: ['x-consumer-username', 'x-credential-identifier', 'x-consumer-custom-id'],
  credentialHeader: 'apikey',
  signs: [
    ['unauthenticated', 401, (refusal) => hasOnly(refusal, 'message') && noCredentials.test(refusal.message)],
    ['no-route', 404, (refusal) => hasOnly(refusal, 'error_msg') && refusal.message === '404 Route Not Found'],
    ['upstream', [502, 503, 504], isAboutUpstream],
    ['throttled', [429, 503], (refusal) => isOwn(refusal) && (hasOnly(refusal, 'error_msg') || hasLimit(refusal))],
    ['throttled', 429, (refusal) => isOwn(refusal) && isPage(refusal)],
    ['too-large', 413, (refusal) => isOwn(refusal) && isPage(refusal)],
  ],
});

function isOwn({ field }: Refusal): boolean {
  return /^APISIX\//i.test(field('server'));
}

function isAboutUpstream({ field }: Refusal): boolean {
  return /^50[234]/.test(field('x-apisix-upstream-status'));
}

function hasLimit({ field }: Refusal): boolean {
  return field('x-ratelimit-limit') !== '';
}

function isPage({ text }: Refusal): boolean {
  return /^\s*<html>/i.test(text);
}
