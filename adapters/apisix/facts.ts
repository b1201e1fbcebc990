/** Apache APISIX as it comes: measured on 2.15. */
import type { GatewayFacts } from '../../gateway/core/gateway-facts.ts';
import { byFields, product } from '../recognise.ts';

export const apisixFacts: GatewayFacts = {
  title: 'Apache APISIX',
  recognise: byFields([
    ['server', product('APISIX')],
    ['x-apisix-upstream-status', /^/],
    ['apisix-cache-status', /^/],
  ]),
  limits: { idleMs: { is: 60_000 } },
  settings: {
    idle: 'keepalive_timeout',
    timeout: 'timeout of the upstream',
    body: 'client-control',
    trust: 'nginx_config.http.real_ip_from',
    resends: 'retries: 0 of the upstream',
    buffering: 'disable_proxy_buffering: true of the plugin proxy-buffering',
  },
};
