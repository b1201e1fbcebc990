/**
 * Apigee X, hybrid and Edge: `{"fault":{"faultstring":…,"detail":{"errorcode":…}}}`, told by the code, since sentences and
 * statuses differ (a quota is 429, with Edge 500). And Apigee's gateway for Node, microgateway, which has shapes of its own.
 */
import { gatewayAdapter, type Sign } from '../gateway.ts';
import type { Refusal } from '../refusal.ts';
import { googleExtensions } from './extensions.ts';
import { apigeeFacts } from './facts.ts';

const cloud: readonly Sign[] = [
  ['unauthenticated', 401, coded(/^(?:(?:steps\.)?oauth\.v2\.|keymanagement\.service\.)/)],
  ['quota', [429, 500], coded(/^policies\.ratelimit\.QuotaViolation$/)],
  ['throttled', [429, 500], coded(/^policies\.ratelimit\./)],
  ['no-route', 404, coded(/^messaging\.adaptors\.http\.flow\.ApplicationNotFound$/)],
  ['upstream', [502, 503, 504], coded(/^messaging\.adaptors\.http\.flow\./)],
  ['too-large', [413, 502], coded(/^protocol\.http\.TooBigBody$/)],
];

const microgateway: readonly Sign[] = [
  ['unauthenticated', 401, ({ code }) => code === 'missing_authorization'],
  ['forbidden', 403, ({ code }) => code === 'access_denied'],
  ['quota', [403, 429], says('exceeded quota')],
  ['throttled', 503, says('SpikeArrest engaged')],
  ['no-route', 404, says('no match found')],
  ['upstream', 504, /^Gateway timed out trying to reach target$/],
  ['upstream', 502, ({ members }) => members?.['message'] === 'socket hang up' && typeof members['code'] === 'string'],
];

export const apigee = gatewayAdapter({
  name: 'apigee',
  facts: apigeeFacts,
  extensions: googleExtensions,
  identityHeaders: ['x-authorization-claims', 'x-apigee-*'],
  credentialHeader: 'x-api-key',
  signs: [...cloud, ...microgateway],
});

function coded(code: RegExp): (refusal: Refusal) => boolean {
  return (refusal) => 'fault' in (refusal.members ?? {}) && code.test(refusal.code);
}

/** Its sentence, with the status once more inside. */
function says(sentence: string): (refusal: Refusal) => boolean {
  return ({ members, message, status }) => message === sentence && members?.['status'] === status;
}
