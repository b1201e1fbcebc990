/** What is made of routes that were read of a gateway. */
import assert from 'node:assert/strict';
import type { GatewayRoute } from '../../../adapters/conversion/gateway-route.ts';
import { writeImported } from '../../../adapters/conversion/imported-file.ts';
import { loadText } from '../../../gateway/config/load.ts';
import { parts } from '../../../gateway/parts.ts';
import { chat } from './gateway-routes.ts';

const options = { adapter: 'kong', credentialHeader: 'apikey', withSecrets: false };

async function idsOf(...routes: readonly GatewayRoute[]): Promise<string[]> {
  const found = routes.map((route) => ({ route, webSockets: false }));
  const text = writeImported({ routes: found, callers: [], remarks: [] }, ['kong.yaml'], options);
  const { settings } = await loadText('foregate.yaml', text, parts, {});
  return settings.routes.map(({ id }) => id);
}

describe('imported routes', () => {
  it('have ids of their own that Foregate takes, whatever the gateway calls them', async () => {
    assert.deepEqual(
      await idsOf(
        chat({ id: 'a b/c', hosts: ['a.example', 'b.example'], path: '/1' }),
        chat({ id: 'a-b-c-2', path: '/2' }),
        chat({ id: '~~', path: '/3' }),
        chat({ id: 'x'.repeat(100), path: '/4' }),
        chat({ id: 'x'.repeat(100), path: '/5' }),
      ),
      ['a-b-c', 'a-b-c-2', 'a-b-c-2-2', 'route', 'x'.repeat(64), `${'x'.repeat(56)}-2`],
    );
  });

  it('have no limit of bodies where the gateway has none', async () => {
    assert.deepEqual(await idsOf(chat({ bodyBytes: Number.POSITIVE_INFINITY })), ['chat']);
  });
});
