/** nginx as a gateway: its own pages, and the sentences of the configuration in our documentation. */
import { gatewayAdapter } from '../gateway.ts';
import type { Refusal } from '../refusal.ts';
import { nginxFacts } from './facts.ts';

export const nginx = gatewayAdapter({
  name: 'nginx',
  facts: nginxFacts,
  identityHeaders: ['x-consumer-username'],
  signs: [
    ['unauthenticated', 401, (refusal) => isPage(refusal) || /^No API key found in request$/.test(refusal.message)],
    ['forbidden', 403, isPage],
    ['throttled', 429, (refusal) => isPage(refusal) || /^API rate limit exceeded$/.test(refusal.message)],
    ['too-large', 413, (refusal) => isPage(refusal) || /^Request size limit exceeded$/.test(refusal.message)],
    ['no-route', 404, isPage],
    ['upstream', [500, 502, 503, 504], isPage],
  ],
});

/** Its pages end with its name. */
function isPage({ text }: Refusal): boolean {
  return /<hr><center>nginx(?:\/[\d.]+)?<\/center>\s*<\/body>\s*<\/html>/.test(text);
}
