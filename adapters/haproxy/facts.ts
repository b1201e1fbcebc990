/** HAProxy: what it does is all in its configuration, and it says who it is in no field. Its pages are told by its adapter. */
import type { GatewayFacts } from '../../gateway/core/gateway-facts.ts';

export const haproxyFacts: GatewayFacts = {
  title: 'HAProxy',
  recognise: () => undefined,
  limits: {},
  settings: {
    idle: 'timeout client',
    timeout: 'timeout server',
    header: 'tune.bufsize',
    trust: 'an ACL on src',
    buffering: 'option http-no-delay',
  },
};
