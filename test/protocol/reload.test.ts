/** A new configuration under open sessions, and the end of the program. */
import assert from 'node:assert/strict';
import { echo, startBackend } from '../support/backend.ts';
import { refusedClient } from '../support/client.ts';
import { handshakeRequest } from '../support/raw-socket.ts';
import { accepted, clearStage, gate, isOpening, nothing, onClear, pause, said, setStage, stageConfig } from './stage.ts';

afterEach(clearStage);

describe('a reload', () => {
  it('keeps open sessions under the rules they began with, and gives new ones the new', async () => {
    const other = await startBackend();
    onClear(() => other.stop());
    const { backend, foregate, open } = await setStage({
      route: { policies: [{ use: 'rate-limit', messages: 2, window: '1h', by: 'session' }] },
    });
    const old = await open();
    old.send('1');
    assert.equal(await old.nextText(), '1');
    const { kept, drained } = await foregate.reload(await stageConfig({}, [{ url: other.origin }]));
    assert.deepEqual([kept, drained], [1, 0]);
    const fresh = await open();
    for (let i = 0; i < 5; i += 1) {
      fresh.send(String(i));
      assert.equal(await fresh.nextText(), String(i));
    }
    await pause(1100); // Long enough for what is no longer used to be put away.
    old.send('2');
    assert.equal(await old.nextText(), '2');
    old.send('3');
    assert.equal((await old.closed()).code, 4429);
    assert.deepEqual(said(backend.events()), ['OPEN', 'TEXT 1', 'TEXT 2', 'DISCONNECT']);
    assert.equal(said(other.events())[0], 'OPEN');
  });

  it('closes the sessions of a route that drains with 1012, and tells their backend', async () => {
    const { backend, foregate, open } = await setStage({ route: { reload: 'drain' } });
    const clients = [await open(), await open(), await open()];
    const { kept, drained } = await foregate.reload(await stageConfig({}, [{ url: backend.origin }]));
    assert.deepEqual([kept, drained], [0, 3]);
    for (const client of clients) assert.equal((await client.closed()).code, 1012);
    await backend.until(() => said(backend.events()).filter((event) => event === 'DISCONNECT').length === 3);
    const again = await open();
    again.send('x');
    assert.equal(await again.nextText(), 'x');
  });

  it('may take a route away', async () => {
    const { backend, foregate, open, url } = await setStage();
    const old = await open('/chat');
    await foregate.reload(await stageConfig({ route: { match: { path: '/elsewhere' } } }, [{ url: backend.origin }]));
    assert.equal((await refusedClient(`${url.replace('http', 'ws')}/chat`)).status, 404);
    old.send('x');
    assert.equal(await old.nextText(), 'x');
  });

  it('lets a client that came before it be accepted after it', async () => {
    const held = gate();
    const { backend, foregate, connect } = await setStage({
      answer: async (request) => {
        if (isOpening(request)) await held.passed;
        return isOpening(request) ? accepted() : nothing;
      },
    });
    const client = await connect();
    client.send(handshakeRequest());
    await backend.until(() => backend.requests.length === 1);
    await foregate.reload(await stageConfig({}, [{ url: backend.origin }]));
    await pause(1200);
    held.open();
    assert.equal((await client.takeHead()).status, 101);
    client.destroy();
    await backend.until(() => backend.requests.length === 2);
    assert.deepEqual(said(backend.events()), ['OPEN', 'DISCONNECT']);
  });

  it('has no effect when the new configuration does not work', async () => {
    const { foregate, open, backend } = await setStage();
    const broken = await stageConfig({}, [{ url: backend.origin }]);
    const [route] = broken.routes;
    assert.ok(route);
    const failing = { ...route.policies[0], use: 'broken', options: {}, place: { file: '', line: 0, column: 0, path: '' } };
    const definition = { name: 'broken', summary: '', options: {}, create: () => Promise.reject(new Error('not today')) };
    await assert.rejects(
      foregate.reload({ ...broken, routes: [{ ...route, policies: [{ ...failing, definition }] }] }),
      /not today/,
    );
    const client = await open();
    client.send('x');
    assert.equal(await client.nextText(), 'x');
  });
});

describe('the end of the program', () => {
  it('closes everybody with 1012, tells the backends, and takes nobody new', async () => {
    const { backend, foregate, open, url } = await setStage({ answer: async (request) => (await pause(5), echo(request)) });
    const clients = await Promise.all(Array.from({ length: 20 }, () => open()));
    const stopping = foregate.stop();
    await assert.rejects(open());
    for (const client of clients) assert.equal((await client.closed()).code, 1012);
    await stopping;
    assert.equal(said(backend.events()).filter((event) => event === 'DISCONNECT').length, 20);
    await assert.rejects(fetch(url));
  });

  it('does not wait for ever for a client that does not answer', async () => {
    const { foregate, openRaw } = await setStage();
    const client = await openRaw();
    const start = performance.now();
    await foregate.stop();
    assert.ok(performance.now() - start < 1500);
    await client.takeEnd();
  });
});
