/**
 * AWS API Gateway, REST and HTTP APIs. A refusal is one short sentence in `message` (an authorizer's in `Message`) and nothing
 * beside it; every answer has `x-amzn-RequestId`. A path that is not there is a 403 of a REST API.
 */
import { gatewayAdapter, type Sign } from '../gateway.ts';
import { hasOnly, type Refusal } from '../refusal.ts';
import { awsExtensions } from './extensions.ts';
import { awsFacts } from './facts.ts';

const signs: readonly Sign[] = [
  ['no-route', 403, says(/^Missing Authentication Token$/)],
  ['no-route', 404, says(/^Not Found$/)],
  ['unauthenticated', 401, says(/^Unauthorized$/)],
  ['forbidden', 403, says(/^(?:Forbidden|User is not authorized\b.*)$/)],
  ['quota', 429, says(/^Limit Exceeded$/)],
  ['throttled', 429, says(/^Too Many Requests$/)],
  ['too-large', 413, says(/^Request (?:Too Long|Entity Too Large)$/)],
  ['upstream', [503, 504], says(/^(?:Endpoint request timed out|Service Unavailable)$/)],
  ['upstream', [500, 502], says(/^Internal server error$/i)],
];

/** What it tells its integrations about the caller is the business of their mappings. */
export const aws = gatewayAdapter({
  name: 'aws',
  facts: awsFacts,
  extensions: awsExtensions,
  identityHeaders: [],
  credentialHeader: 'x-api-key',
  renamed: new Map([
    ['x-amzn-remapped-www-authenticate', 'WWW-Authenticate'],
    ['x-amzn-remapped-authorization', 'Authorization'],
  ]),
  signs,
});

function says(sentence: RegExp): (refusal: Refusal) => boolean {
  return (refusal) => isOwn(refusal) && sentence.test(refusal.message);
}

function isOwn(refusal: Refusal): boolean {
  return refusal.field('x-amzn-requestid') !== '' && (hasOnly(refusal, 'message') || hasOnly(refusal, 'Message'));
}
