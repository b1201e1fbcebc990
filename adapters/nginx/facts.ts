/** nginx as it comes: measured on 1.22. */
import type { GatewayFacts } from '../../gateway/core/gateway-facts.ts';
import { byFields, product } from '../recognise.ts';

export const nginxFacts: GatewayFacts = {
  title: 'nginx',
  recognise: byFields([['server', product('nginx')]]),
  limits: { idleMs: { is: 75_000 }, bodyBytes: { is: 1_048_576 } },
  settings: {
    idle: 'keepalive_timeout',
    timeout: 'proxy_read_timeout',
    body: 'client_max_body_size',
    header: 'large_client_header_buffers',
    trust: 'set_real_ip_from',
    host: 'proxy_set_header Host $host',
    resends: 'proxy_next_upstream off',
    buffering: 'proxy_http_version 1.1 and proxy_buffering off',
  },
};
