/** Tyk Gateway as it comes: measured on 3.1. */
import type { GatewayFacts } from '../../gateway/core/gateway-facts.ts';
import { byFields } from '../recognise.ts';

export const tykFacts: GatewayFacts = {
  title: 'Tyk Gateway',
  recognise: byFields([
    ['x-generator', /^tyk\.io$/i],
    ['x-tyk-cached-response', /^/],
  ]),
  limits: { idleMs: { is: 120_000 } },
  settings: {
    idle: 'read_timeout',
    timeout: 'enforceTimeout',
    body: 'requestSizeLimit',
    trust: 'xff_depth',
    host: 'preserve_host_header: true',
    buffering: 'http_server_options.flush_interval',
  },
};
