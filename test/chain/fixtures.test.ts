/** The gateways of the chain tests alone, with plain requests: that they refuse what the chain tests rely on. */
import assert from 'node:assert/strict';
import { readFault } from '../adapters/fault-fixtures.ts';
import { startBackend, type Backend } from '../support/backend.ts';
import { caddy } from './caddy.ts';
import { allowance, type ChainGateway } from './chain-gateway.ts';
import { expressGateway } from './express-gateway.ts';
import { installGateways, installTimeoutMs } from './gateways.ts';
import { haproxy } from './haproxy.ts';
import { microgateway } from './microgateway.ts';
import { nginx } from './nginx.ts';

for (const kind of [nginx, haproxy, caddy, expressGateway, microgateway]) {
  const { exhausted } = kind;

  describe(`${kind.name}, as the chain tests run it`, () => {
    let backend: Backend;
    let gateway: ChainGateway;

    before(async function () {
      this.timeout(installTimeoutMs);
      await installGateways();
      backend = await startBackend(() => ({ body: 'answer' }));
      gateway = await kind.start(backend.origin);
    });
    after(async () => {
      await gateway.stop();
      await backend.stop();
    });

    async function ask(key?: string): Promise<{ status: number; headers: Headers; body: string }> {
      const sent: Record<string, string> = key === undefined ? {} : { [kind.keyHeader]: key };
      const response = await fetch(`${gateway.origin}/room`, { method: 'POST', headers: sent, body: 'question' });
      return { status: response.status, headers: response.headers, body: await response.text() };
    }

    async function post(key?: string): Promise<{ status: number; body: string }> {
      const { status, body } = await ask(key);
      return { status, body };
    }

    it('refuses a request without a key', async () => {
      const { status, body } = kind.noKey;
      assert.deepEqual(await post(), { status, body });
    });

    it('is known to its adapter by the refusal of a request without a key', async () => {
      const { status, headers, body } = await ask();
      const lines = [...headers].map(([name, value]) => `${name}: ${value}`);
      const bytes = Buffer.from([`HTTP/1.1 ${status} `, ...lines, '', body].join('\r\n'));
      const { kind: fault, by } = readFault(`${kind.adapter}/`, bytes);
      // The generic adapter knows no gateway by name.
      assert.deepEqual([fault, by], ['unauthenticated', kind.adapter === 'generic' ? undefined : kind.adapter]);
    });

    it('refuses a key it does not know', async () => {
      assert.match(String((await post('unknown')).status), /^40[13]$/);
    });

    it('takes a key without an allowance as often as it comes, until it is revoked', async () => {
      const key = await gateway.freeKey();
      for (let i = 0; i <= allowance; i += 1) assert.equal((await post(key)).status, 200);
      await gateway.revoke(key);
      assert.equal((await post(key)).status, kind.revokedCode - 4000);
    });

    if (!exhausted) return;

    it('lets the allowance of a key through and refuses the next request', async () => {
      const key = await gateway.newKey();
      for (let i = 0; i < allowance; i += 1)
        assert.deepEqual(await post(key), { status: 200, body: 'answer' }, `request ${i + 1}`);
      assert.deepEqual(await post(key), { status: exhausted.status, body: exhausted.body });
    });

    it('counts each key for itself', async () => {
      const [first, second] = [await gateway.newKey(), await gateway.newKey()];
      for (let i = 0; i <= allowance; i += 1) await post(first);
      assert.equal((await post(second)).status, 200);
    });
  });
}
