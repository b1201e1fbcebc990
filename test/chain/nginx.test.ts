/** WebSockets and streams through nginx, and what becomes of requests that are under way when a gateway dies. */
import assert from 'node:assert/strict';
import { echo } from '../support/backend.ts';
import type { Client } from '../support/client.ts';
import { chainSuite } from './chain-suite.ts';
import { echoed, seen, type Chain } from './chain.ts';
import { nginx } from './nginx.ts';
import { openStream, publish } from './passage-cases.ts';
import { openCrowd, stillOpen } from './restart-cases.ts';

/** Long enough that the plain delays of GRIP (1 to 2, then 2 to 3, then 4 to 5 seconds) would miss the return by more than that. */
const awayMs = 5000;

chainSuite(nginx, more, awayMs);

function more(chain: () => Chain): void {
  describe('killed and started again under open WebSockets', () => {
    let clients: Client[];

    beforeEach(() => {
      clients = [];
    });
    afterEach(async () => {
      chain().backend.answer = echo;
      for (const client of clients) client.socket.terminate();
      await chain().gateway.start();
    });

    /** The first ten ask and get no answer; then the gateway goes away. */
    async function killWhileAsking(): Promise<{ asking: Client[]; rest: Client[]; asked: () => number }> {
      const { gateway, backend } = chain();
      const asking = clients.slice(0, 10);
      const from = backend.requests.length;
      const asked = (): number => backend.requests.slice(from).filter(({ events }) => textsIn(events).includes('wait')).length;
      backend.answer = (request) => (textsIn(request.events).includes('wait') ? undefined : echo(request));
      for (const client of asking) client.send('wait');
      await backend.until(() => asked() === asking.length);
      await gateway.kill();
      return { asking, rest: clients.slice(10), asked };
    }

    async function allEcho(some: readonly Client[]): Promise<void> {
      const answers = await Promise.all(some.map((client, i) => echoed(client, `still here ${i}`)));
      assert.deepEqual(
        answers,
        some.map((_, i) => `still here ${i}`),
      );
    }

    it('ends exactly the clients whose request was under way, where the route says `retry: never`', async function () {
      this.timeout(30_000);
      clients = await openCrowd(chain(), '/never/room');
      const { asking, rest, asked } = await killWhileAsking();
      for (const client of asking) assert.equal((await client.closed()).code, 1011);
      await chain().gateway.start();
      await allEcho(rest);
      assert.equal(stillOpen(clients), rest.length);
      assert.equal(asked(), asking.length, 'a message was sent twice');
    });

    it('repeats what was under way on a reused connection, once, and disconnects nobody', async function () {
      this.timeout(30_000);
      clients = await openCrowd(chain(), '/close/room');
      await allEcho(clients); // All at once, so that there are connections enough to reuse.
      const { asking, rest, asked } = await killWhileAsking();
      chain().backend.answer = echo;
      await chain().gateway.start();
      for (const client of asking) assert.equal(await client.nextText(), 'wait');
      await allEcho(rest);
      assert.equal(stillOpen(clients), clients.length);
      assert.equal(asked(), asking.length * 2);
    });
  });

  it('closes a client whose event the backend took and then dropped', async () => {
    const { backend, open } = chain();
    const [victim, other] = [await open(), await open()];
    backend.answer = (request) => {
      if (!textsIn(request.events).includes('drop me')) return echo(request);
      request.response.destroy();
      return undefined;
    };
    victim.send('drop me');
    assert.equal((await victim.closed()).code, 1011);
    assert.equal(await echoed(other, 'fine'), 'fine');
    assert.equal(seen(backend).filter((message) => message === 'drop me').length, 1);
    backend.answer = echo;
    other.socket.terminate();
  });

  it('brings what is published at once even where nginx keeps what a backend streams until its end', async () => {
    const { backend, foregate } = chain();
    const held = { 'Content-Type': 'text/event-stream', 'Grip-Hold': 'stream', 'Grip-Channel': 'news' };
    backend.answer = ({ path, response }) => {
      if (path === '/bare/held') return { headers: held, body: 'event: open\ndata:\n\n' };
      response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: first\n\n');
      return undefined;
    };
    const stream = await openStream(chain(), '/bare/held');
    assert.equal(await stream.next(), 'event: open\ndata:\n\n');
    const written = openStream(chain(), '/bare/written');
    await backend.until(() => backend.requests.some(({ path }) => path === '/bare/written'));
    await publish(foregate.controlUrl, 'data: at once\n\n');
    assert.equal(await stream.next(), 'data: at once\n\n');
    backend.requests.findLast(({ path }) => path === '/bare/written')?.response.end('data: last\n\n');
    assert.equal(await (await written).next(), 'data: first\n\ndata: last\n\n');
    await stream.cancel();
    backend.answer = echo;
  });
}

function textsIn(events: readonly { readonly kind: string; readonly data?: Buffer }[]): string[] {
  return events.flatMap((event) => (event.kind === 'text' && event.data ? [event.data.toString()] : []));
}
