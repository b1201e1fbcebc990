/** How routes of Foregate become routes of a gateway. */
import assert from 'node:assert/strict';
import { gatewayModel } from '../../../adapters/conversion/gateway-model.ts';
import { loadText } from '../../../gateway/config/load.ts';
import { parts } from '../../../gateway/parts.ts';

async function modelOf(routes: readonly object[]): Promise<ReturnType<typeof gatewayModel>> {
  const { settings } = await loadText('foregate.yaml', JSON.stringify({ routes }), parts, {});
  return gatewayModel(settings.routes, { credentialHeader: 'apikey' }, { trusted: [], withSecrets: false });
}

const target = 'http://kong:8000';
const adapter = { use: 'kong', gateway: { backend: 'http://backend:8080', limits: [{ count: 5, window: '1m', by: 'caller' }] } };

describe('the model of a gateway', () => {
  it('takes everything that begins as a template does, and says so', async () => {
    const { model, remarks } = await modelOf([{ id: 'room', match: { template: '/chat/{room}' }, target, adapter }]);
    assert.deepEqual(
      model.routes.map(({ id, path }) => [id, path]),
      [['room', '/chat/']],
    );
    assert.deepEqual(remarks, [
      { about: 'room', verdict: 'told', text: 'matches a template; at the gateway it is everything that begins with "/chat/"' },
    ]);
  });

  it('joins routes that are the same there, and says that they count together', async () => {
    const { model, remarks } = await modelOf([
      { id: 'read', match: { template: '/orders/{id}', methods: ['GET'] }, target, adapter },
      { id: 'change', match: { template: '/orders/{id}', methods: ['PATCH'] }, target, adapter },
      {
        id: 'other',
        match: { template: '/orders/{id}/items' },
        target,
        adapter: { ...adapter, gateway: { backend: 'http://b' } },
      },
    ]);
    assert.deepEqual(model.routes.map(({ id }) => id).toSorted(), ['other', 'read']);
    assert.ok(
      remarks.some(
        ({ about, verdict, text }) => about === 'change' && verdict === 'tightened' && /one with the route read/.test(text),
      ),
    );
  });
});
