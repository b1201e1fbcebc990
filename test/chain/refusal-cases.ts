/** How a handshake is refused, and how a client whose key is revoked, or whose message is too large, is closed. */
import assert from 'node:assert/strict';
import { refusedClient } from '../support/client.ts';
import { bodyBytes, type GatewayKind, type GatewayRefusal } from './chain-gateway.ts';
import { echoed, messages, seen, type Chain } from './chain.ts';

export function refusalCases({ noKey, exhausted, revokedCode, limitsBodies }: GatewayKind, chain: () => Chain): void {
  it("answers a handshake without a key with the gateway's own refusal, header fields included", async () => {
    await refusedAs(noKey, chain());
  });

  it('answers a handshake with an unknown key with a refusal, and the backend hears nothing', async () => {
    const { kind, foregate, backend } = chain();
    const before = backend.requests.length;
    const headers = { [kind.keyHeader]: 'unknown' };
    const { status } = await refusedClient(`${foregate.socketUrl}/close/room`, { headers });
    assert.match(String(status), /^40[13]$/);
    assert.equal(backend.requests.length, before);
  });

  if (exhausted)
    it("answers a handshake with a key that is used up with the gateway's own refusal, header fields included", async () => {
      const key = await chain().gateway.newKey();
      const client = await chain().open('/close/room', key);
      for (let i = 1; i <= messages; i += 1) await echoed(client, `message ${i}`);
      await refusedAs(exhausted, chain(), key);
      await client.close();
    });

  it(`closes with ${revokedCode} at the next message of a key that was revoked`, async () => {
    const { gateway, open, backend } = chain();
    const key = await gateway.freeKey();
    const client = await open('/close/revoked', key);
    assert.equal(await echoed(client, 'still good'), 'still good');
    await gateway.revoke(key);
    client.send('no longer good');
    assert.equal((await client.closed()).code, revokedCode);
    assert.ok(!seen(backend).includes('no longer good'));
  });

  it(`closes with ${revokedCode} a client that says nothing, when Foregate asks for it`, async () => {
    const { gateway, open, backend, foregate } = chain();
    const key = await gateway.freeKey();
    const client = await open('/close/silent', key);
    await gateway.revoke(key);
    const cid = backend.requests.findLast(({ path }) => path === '/close/silent')?.headers['connection-id'];
    // The request of `Keep-Alive-Interval`, which nobody waits 20 seconds for here.
    await fetch(`${foregate.controlUrl}/refresh/`, { method: 'POST', body: JSON.stringify({ cid }) });
    assert.equal((await client.closed()).code, revokedCode);
  });

  if (limitsBodies)
    it('closes with 1009 for a message that is too large for the gateway', async () => {
      const client = await chain().open();
      client.send(Buffer.alloc(bodyBytes + 1));
      assert.equal((await client.closed()).code, 1009);
    });
}

async function refusedAs(
  { status, body, eventsStatus, headers = {} }: GatewayRefusal,
  { kind, foregate }: Chain,
  key?: string,
): Promise<void> {
  const sent = key === undefined ? {} : { [kind.keyHeader]: key };
  const refusal = await refusedClient(`${foregate.socketUrl}/close/room`, { headers: sent });
  if (eventsStatus === undefined) assert.deepEqual([refusal.status, refusal.body], [status, body]);
  else assert.equal(refusal.status, eventsStatus);
  for (const [name, value] of Object.entries(headers)) assert.match(String(refusal.headers[name]), value, name);
}
