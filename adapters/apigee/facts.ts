/** Apigee as its documentation has it, and its gateway for Node, microgateway, as measured on 3.3. Neither says who it is in a field. */
import type { GatewayFacts } from '../../gateway/core/gateway-facts.ts';

export const apigeeFacts: GatewayFacts = {
  title: 'Apigee',
  recognise: () => undefined,
  limits: {
    idleMs: { is: 5000, of: 'its gateway for Node' },
    bodyBytes: { is: 10_000_000, of: 'requests that it does not stream' },
  },
  settings: { timeout: 'io.timeout.millis', host: 'an AssignMessage policy' },
};
