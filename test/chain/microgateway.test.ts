/** WebSockets and streams through Apigee's microgateway, and its spike arrest, which smooths instead of counting. */
import assert from 'node:assert/strict';
import { chainSuite } from './chain-suite.ts';
import { echoed, startChain, stopChain } from './chain.ts';
import { microgateway, startMicrogateway } from './microgateway.ts';

chainSuite(microgateway, () => {
  it('closes with 4429 when its spike arrest refuses a message', async () => {
    // One request a second: the OPEN takes it, and the message comes at once after that.
    const chain = await startChain({ ...microgateway, start: (backendOrigin) => startMicrogateway(backendOrigin, 1) });
    try {
      const client = await chain.open('/close/spike', await chain.gateway.freeKey());
      client.send('too soon');
      assert.equal((await client.closed()).code, 4429);
      const patient = await chain.open('/answer/spike', await chain.gateway.freeKey()).catch(() => undefined);
      if (patient) assert.match(await echoed(patient, 'too soon'), /rate-limited/);
    } finally {
      await stopChain(chain);
    }
  });
});
