/** HAProxy as a gateway: its own pages, and the sentences that `http-request return` says. */
import { gatewayAdapter } from '../gateway.ts';
import type { Refusal } from '../refusal.ts';
import { haproxyFacts } from './facts.ts';

export const haproxy = gatewayAdapter({
  name: 'haproxy',
  facts: haproxyFacts,
  identityHeaders: [],
  signs: [
    [
      'unauthenticated',
      401,
      (refusal) => isPage(refusal) || /^(?:No API key found in request|Unauthorized)$/.test(refusal.message),
    ],
    ['forbidden', 403, isPage],
    ['throttled', 429, (refusal) => isPage(refusal) || /^API rate limit exceeded$/.test(refusal.message)],
    ['too-large', 413, isPage],
    ['no-route', 404, isPage],
    ['upstream', [500, 502, 503, 504], isPage],
  ],
});

function isPage({ text, status }: Refusal): boolean {
  return text.startsWith(`<html><body><h1>${status} `);
}
