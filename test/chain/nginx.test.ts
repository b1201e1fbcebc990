/** WebSockets through nginx, and what no tunnel can do: the gateway goes away and comes back under open WebSockets. */
import assert from 'node:assert/strict';
import { setTimeout as after } from 'node:timers/promises';
import { echo } from '../support/backend.ts';
import type { Client } from '../support/client.ts';
import { chainSuite, echoed, seen } from './chain-suite.ts';
import { startNginx } from './nginx.ts';

const sockets = 200;
/** Events must flow again so soon after the gateway is back. */
const recoveryMs = 2000;
/** Long enough that the plain delays of GRIP (1 to 2, then 2 to 3, then 4 to 5 seconds) would miss the return by more than that. */
const awayMs = 5000;

chainSuite('nginx', startNginx, (chain) => {
  describe('killed and started again under open WebSockets', () => {
    let clients: Client[];

    async function openAll(path: string): Promise<void> {
      clients = [];
      for (let i = 0; i < sockets; i += 20)
        clients.push(...(await Promise.all(Array.from({ length: 20 }, () => chain().open(path)))));
    }

    beforeEach(() => {
      clients = [];
    });
    afterEach(async () => {
      chain().backend.answer = echo;
      for (const client of clients) client.socket.terminate();
      await chain().gateway.start();
    });

    function open(): Client[] {
      return clients.filter((client) => client.closing === undefined);
    }

    it('disconnects nobody while no request is under way, and events flow again within two seconds', async function () {
      this.timeout(30_000);
      const { gateway, backend } = chain();
      await openAll('/close/room');
      await gateway.kill();
      const [early, late] = [clients.slice(0, sockets / 2), clients.slice(sockets / 2)];
      early.forEach((client, i) => client.send(`while it was away ${i}`));
      await after(awayMs);
      assert.equal(open().length, sockets);

      await gateway.start();
      const started = Date.now();
      const answers = Promise.all(early.map((client) => client.nextText(10_000)));
      const afterwards = Promise.all(late.map((client, i) => echoed(client, `after its return ${i}`)));
      assert.deepEqual(
        await answers,
        early.map((_, i) => `while it was away ${i}`),
      );
      assert.deepEqual(
        await afterwards,
        late.map((_, i) => `after its return ${i}`),
      );
      const took = Date.now() - started;
      assert.ok(took <= recoveryMs, `took ${took} ms`);
      assert.equal(open().length, sockets);
      const away = seen(backend).filter((message) => message.startsWith('while it was away'));
      assert.equal(away.length, new Set(away).size, 'a message reached the backend twice');
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
      await openAll('/never/room');
      const { asking, rest, asked } = await killWhileAsking();
      for (const client of asking) assert.equal((await client.closed()).code, 1011);
      await chain().gateway.start();
      await allEcho(rest);
      assert.equal(open().length, rest.length);
      assert.equal(asked(), asking.length, 'a message was sent twice');
    });

    it('repeats what was under way on a reused connection, once, and disconnects nobody', async function () {
      this.timeout(30_000);
      await openAll('/close/room');
      await allEcho(clients); // All at once, so that there are connections enough to reuse.
      const { asking, rest, asked } = await killWhileAsking();
      chain().backend.answer = echo;
      await chain().gateway.start();
      for (const client of asking) assert.equal(await client.nextText(), 'wait');
      await allEcho(rest);
      assert.equal(open().length, sockets);
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
});

function textsIn(events: readonly { readonly kind: string; readonly data?: Buffer }[]): string[] {
  return events.flatMap((event) => (event.kind === 'text' && event.data ? [event.data.toString()] : []));
}
