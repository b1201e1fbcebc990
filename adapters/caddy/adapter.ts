/** Caddy as a gateway: its own errors have no body at all, so that its name and the emptiness are all there is to see. An empty 200 is what it answers for a host without a site. */
import { gatewayAdapter } from '../gateway.ts';
import type { Refusal } from '../refusal.ts';
import { caddyFacts } from './facts.ts';

export const caddy = gatewayAdapter({
  name: 'caddy',
  facts: caddyFacts,
  identityHeaders: [],
  signs: [
    ['unauthenticated', 401, isBare],
    ['forbidden', 403, isBare],
    ['throttled', 429, isBare],
    ['too-large', 413, isBare],
    ['no-route', 404, isBare],
    ['upstream', [500, 502, 503, 504], isBare],
  ],
});

function isBare({ text, field }: Refusal): boolean {
  return text === '' && /^caddy\b/i.test(field('server')) && field('content-type') === '';
}
