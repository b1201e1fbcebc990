/** Caddy as it comes: measured on 2.6. */
import type { GatewayFacts } from '../../gateway/core/gateway-facts.ts';
import { byFields, product } from '../recognise.ts';

export const caddyFacts: GatewayFacts = {
  title: 'Caddy',
  recognise: byFields([['server', product('Caddy')]]),
  limits: { idleMs: { is: 300_000 } },
  settings: { body: 'request_body max_size', trust: 'trusted_proxies', buffering: 'flush_interval -1' },
};
