/** Azure API Management: `{ "statusCode": 429, "message": "…" }`, the status once more inside. */
import { gatewayAdapter } from '../gateway.ts';
import type { Refusal } from '../refusal.ts';
import { azureFacts } from './facts.ts';

export const azure = gatewayAdapter({
  name: 'azure',
  facts: azureFacts,
  identityHeaders: ['x-ms-client-principal*'],
  credentialHeader: 'Ocp-Apim-Subscription-Key',
  signs: [
    ['upstream', 500, (refusal) => isOwn(refusal) && 'activityId' in (refusal.members ?? {})],
    ['quota', 403, says(/^Out of call volume quota\b/)],
    ['throttled', 429, says(/^Rate limit is exceeded\b/)],
    ['no-route', 404, says(/^Resource not found$/)],
    ['unauthenticated', 401, isOwn],
    ['forbidden', 403, isOwn],
  ],
});

function says(sentence: RegExp): (refusal: Refusal) => boolean {
  return (refusal) => isOwn(refusal) && sentence.test(refusal.message);
}

function isOwn({ members, status }: Refusal): boolean {
  return members?.['statusCode'] === status && typeof members['message'] === 'string';
}
