/** The gateways of the chain tests alone, with plain requests: that they refuse what the chain tests rely on. */
import assert from 'node:assert/strict';
import { startBackend, type Backend } from '../support/backend.ts';
import { allowance, type ChainGateway } from './chain-gateway.ts';
import { startExpressGateway } from './express-gateway.ts';
import { installGateways, installTimeoutMs } from './gateways.ts';
import { startMicrogateway } from './microgateway.ts';
import { startNginx } from './nginx.ts';

for (const start of [startNginx, startExpressGateway, startMicrogateway]) {
  describe(`${start.name.slice('start'.length)}, as the chain tests run it`, () => {
    let backend: Backend;
    let gateway: ChainGateway;

    before(async function () {
      this.timeout(installTimeoutMs);
      await installGateways();
      backend = await startBackend(() => ({ body: 'answer' }));
      gateway = await start(backend.origin);
    });
    after(async () => {
      await gateway.stop();
      await backend.stop();
    });

    async function post(key?: string): Promise<{ status: number; body: string }> {
      const headers: Record<string, string> = key === undefined ? {} : { [gateway.keyHeader]: key };
      const response = await fetch(`${gateway.origin}/room`, { method: 'POST', headers, body: 'question' });
      return { status: response.status, body: await response.text() };
    }

    it('refuses a request without a key', async () => {
      assert.deepEqual(await post(), gateway.noKey);
    });

    it('refuses a key it does not know', async () => {
      assert.match(String((await post('unknown')).status), /^40[13]$/);
    });

    it('lets the allowance of a key through and refuses the next request', async () => {
      const key = await gateway.newKey();
      for (let i = 0; i < allowance; i += 1)
        assert.deepEqual(await post(key), { status: 200, body: 'answer' }, `request ${i + 1}`);
      assert.deepEqual(await post(key), gateway.exhausted);
    });

    it('counts each key for itself', async () => {
      const [first, second] = [await gateway.newKey(), await gateway.newKey()];
      for (let i = 0; i <= allowance; i += 1) await post(first);
      assert.equal((await post(second)).status, 200);
    });
  });
}
