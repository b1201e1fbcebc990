/** That bytes, closes and streams come through a gateway unchanged and at once, and over few connections. */
import assert from 'node:assert/strict';
import { echo } from '../support/backend.ts';
import { echoed, type Chain } from './chain.ts';

const talkers = 4;
const eventsEach = 250;

export function passageCases(chain: () => Chain): void {
  it('brings every byte through unchanged, in both directions', async () => {
    const { backend, open } = chain();
    const client = await open();
    // All 256 values, in every place of a word.
    const bytes = Buffer.from(Array.from({ length: 60 * 1024 }, (_, i) => (i + (i >> 8)) & 0xff));
    client.send(bytes);
    const { data, binary } = await client.next();
    assert.ok(binary);
    assert.ok(data.equals(bytes));
    const received = backend.events().findLast((event) => event.kind === 'binary');
    assert.ok(received?.kind === 'binary' && received.data.equals(bytes));
    client.socket.terminate();
  });

  it('tells the backend of the close, and gives its answer to the client', async () => {
    const { backend, open } = chain();
    const client = await open('/close/goodbye');
    client.socket.close(4000, 'bye');
    assert.deepEqual(await client.closed(), { code: 4000, reason: 'bye' });
    const last = backend.requests.findLast(({ path }) => path === '/close/goodbye');
    assert.deepEqual(last?.events, [{ kind: 'close', code: 4000, reason: 'bye' }]);
  });

  it(`takes at most ${talkers} connections for 1,000 events of ${talkers} clients, and the gateway hardly more`, async function () {
    this.timeout(30_000);
    const { gateway, backend, link, open } = chain();
    const before = backend.connections;
    const keys = await Promise.all(Array.from({ length: talkers }, () => gateway.freeKey()));
    const clients = await Promise.all(keys.map((key) => open('/linked/talk', key)));
    const talk = async (client: (typeof clients)[number]): Promise<void> => {
      for (let i = 1; i <= eventsEach; i += 1) assert.equal(await echoed(client, `event ${i}`), `event ${i}`);
    };
    await Promise.all(clients.map(talk));
    assert.ok(link.connections <= talkers, `${link.connections} connections to the gateway`);
    const behind = backend.connections - before;
    // A gateway may open one more before it has put one back whose answer has just gone out.
    assert.ok(behind <= 2 * talkers, `${behind} connections to the backend`);
    assert.equal(backend.requests.filter(({ path }) => path === '/linked/talk').length, talkers * (eventsEach + 1));
    clients.forEach(({ socket }) => socket.terminate());
  });

  describe('an event stream', () => {
    afterEach(() => {
      chain().backend.answer = echo;
    });

    it('that Foregate holds brings what is published at once, while the gateway sees a short answer', async () => {
      const { backend, foregate } = chain();
      backend.answer = () => held;
      const stream = await openStream(chain(), '/events');
      assert.equal(await stream.next(), 'event: open\ndata:\n\n');
      for (const item of ['first', 'second']) {
        await publish(foregate.controlUrl, `data: ${item}\n\n`);
        assert.equal(await stream.next(), `data: ${item}\n\n`);
      }
      await stream.cancel();
    });

    it('that the backend writes through the gateway brings each item before the next is written', async () => {
      const { backend } = chain();
      backend.answer = ({ response }) => {
        response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
        response.write('data: first\n\n');
        return undefined;
      };
      const stream = await openStream(chain(), '/written');
      assert.equal(await stream.next(), 'data: first\n\n');
      const response = backend.requests.findLast(({ path }) => path === '/written')?.response;
      response?.write('data: second\n\n');
      assert.equal(await stream.next(), 'data: second\n\n');
      response?.end('data: last\n\n');
      assert.equal(await stream.next(), 'data: last\n\n');
      await stream.cancel();
    });
  });
}

const held = {
  headers: { 'Content-Type': 'text/event-stream', 'Grip-Hold': 'stream', 'Grip-Channel': 'news', 'Cache-Control': 'no-store' },
  body: 'event: open\ndata:\n\n',
};

export async function publish(controlUrl: string, content: string): Promise<void> {
  const items = [{ channel: 'news', formats: { 'http-stream': { content } } }];
  const response = await fetch(`${controlUrl}/publish/`, { method: 'POST', body: JSON.stringify({ items }) });
  assert.equal(response.status, 200);
}

interface Stream {
  /** The next piece; pieces are as they were written, since nobody writes the next before one is read. */
  next(): Promise<string>;
  cancel(): Promise<void>;
}

/** As a browser opens one. @throws AssertionError if it is refused */
export async function openStream({ kind, gateway, foregate }: Chain, path: string): Promise<Stream> {
  const headers = { [kind.keyHeader]: await gateway.freeKey(), Accept: 'text/event-stream' };
  const response = await fetch(`${foregate.url}${path}`, { headers, signal: AbortSignal.timeout(8000) });
  assert.equal(response.status, 200);
  const reader = response.body?.getReader();
  assert.ok(reader);
  return {
    next: async () => Buffer.from((await reader.read()).value ?? []).toString(),
    cancel: () => reader.cancel(),
  };
}
