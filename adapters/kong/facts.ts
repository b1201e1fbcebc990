/** Kong Gateway as it comes: measured on 2.8 and 3.4. */
import type { GatewayFacts } from '../../gateway/core/gateway-facts.ts';
import { byFields, product } from '../recognise.ts';

export const kongFacts: GatewayFacts = {
  title: 'Kong Gateway',
  recognise: byFields([
    ['server', product('kong')],
    ['via', product('kong')],
    ['x-kong-response-latency', /^/],
    ['x-kong-proxy-latency', /^/],
    ['x-kong-request-id', /^/],
  ]),
  limits: { idleMs: { is: 75_000 }, timeoutMs: { is: 60_000 } },
  settings: {
    timeout: 'read_timeout of the service',
    body: 'request-size-limiting',
    header: 'nginx_proxy_large_client_header_buffers',
    trust: 'trusted_ips',
    host: 'preserve_host: true of the route',
    resends: 'retries: 0 of the service',
    buffering: 'response_buffering: false of the route',
  },
};
