/** Azure API Management as its documentation has it. */
import type { GatewayFacts } from '../../gateway/core/gateway-facts.ts';
import { byFields } from '../recognise.ts';

export const azureFacts: GatewayFacts = {
  title: 'Azure API Management',
  recognise: byFields([['www-authenticate', /^AzureApiManagementKey\b/i]]),
  limits: { idleMs: { is: 240_000, of: 'its load balancer' } },
  settings: {
    timeout: 'timeout of forward-request',
    body: 'max-size of validate-content',
    buffering: 'buffer-response="false" of forward-request',
  },
};
