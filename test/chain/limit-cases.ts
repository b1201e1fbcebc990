/** That every message counts against the gateway's own limit, and what a client sees of it. */
import assert from 'node:assert/strict';
import { allowance } from './chain-gateway.ts';
import { echoed, messages, seen, type Chain } from './chain.ts';

export function limitCases(chain: () => Chain): void {
  it('counts every message of an open WebSocket, refuses exactly the one too many, and closes with 4429', async () => {
    const client = await chain().open();
    for (let i = 1; i <= messages; i += 1) assert.equal(await echoed(client, `message ${i}`), `message ${i}`);
    client.send('one too many');
    assert.equal((await client.closed()).code, 4429);
    assert.ok(!seen(chain().backend).includes('one too many'));
  });

  it('tells the client in a frame where the route says `answer`, and the WebSocket stays open', async () => {
    const client = await chain().open('/answer/room');
    for (let i = 1; i <= messages; i += 1) await echoed(client, `message ${i}`);
    client.send('refused');
    assert.deepEqual(errorOf(await client.nextText()), { type: 'error', code: 'rate-limited' });
    client.send('refused again');
    assert.deepEqual(errorOf(await client.nextText()), { type: 'error', code: 'rate-limited' });
    assert.equal(client.closing, undefined);
    assert.ok(!seen(chain().backend).some((message) => message.startsWith('refused')));
    client.socket.terminate();
  });

  it('sends the credential with every message', async () => {
    const { gateway, backend, open } = chain();
    const key = await gateway.newKey();
    const from = backend.requests.length;
    const client = await open('/close/credential', key);
    for (let i = 1; i <= messages; i += 1) await echoed(client, `message ${i}`);
    const mine = backend.requests.slice(from).filter(({ path }) => path === '/close/credential');
    assert.equal(mine.length, allowance);
    assert.equal(new Set(mine.map(({ headers }) => headers['connection-id'])).size, 1);
    client.send('and one more');
    assert.equal((await client.closed()).code, 4429);
  });

  it('counts a burst message by message where the route says `oneEventPerRequest`', async () => {
    const client = await chain().open('/single/burst');
    for (let i = 1; i <= messages + 1; i += 1) client.send(`in a burst ${i}`);
    for (let i = 1; i <= messages; i += 1) assert.equal(await client.nextText(), `in a burst ${i}`);
    assert.equal((await client.closed()).code, 4429);
    assert.equal(chain().backend.requests.filter(({ path }) => path === '/single/burst').length, allowance);
  });

  it('keeps two WebSockets of one key within one allowance', async () => {
    const { gateway, open } = chain();
    const key = await gateway.newKey();
    const [first, second] = [await open('/close/room', key), await open('/close/room', key)];
    for (let i = 1; i <= allowance - 2; i += 1) await echoed(i % 2 === 0 ? first : second, `message ${i}`);
    first.send('one too many');
    assert.equal((await first.closed()).code, 4429);
    second.send('one too many');
    assert.equal((await second.closed()).code, 4429);
  });
}

/** The parts of an error frame that do not depend on the gateway. */
function errorOf(frame: string): unknown {
  const { type, code } = JSON.parse(frame) as { type: unknown; code: unknown }; // Compared as a whole, whatever it is.
  return { type, code };
}
