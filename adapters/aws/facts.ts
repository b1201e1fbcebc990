/** AWS API Gateway as its documentation has it. */
import type { GatewayFacts } from '../../gateway/core/gateway-facts.ts';
import { byFields } from '../recognise.ts';

export const awsFacts: GatewayFacts = {
  title: 'AWS API Gateway',
  recognise: byFields([
    ['x-amzn-errortype', /^/],
    ['x-amzn-requestid', /^/],
  ]),
  limits: {
    idleMs: { is: 60_000, of: 'its load balancers' },
    timeoutMs: { is: 29_000, of: 'REST APIs' },
    bodyBytes: { is: 10_000_000 },
  },
  settings: { timeout: 'timeoutInMillis', binary: 'application/websocket-events in the binary media types' },
};
