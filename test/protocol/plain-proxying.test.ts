/** GRIP 8.1: what HTTP/1.x clients can rely on when their requests are only passed on. */
import assert from 'node:assert/strict';
import { reply } from '../support/backend.ts';
import { held, requestText, takeAnswer } from './holds.ts';
import { clearStage, eventually, gate, setStage } from './stage.ts';

afterEach(clearStage);

describe('plain requests (GRIP 8.1)', () => {
  it('may follow each other without waiting: answers come in their order', async () => {
    const first = gate();
    const { backend, connect } = await setStage({
      answer: async ({ path }) => {
        if (path === '/1') await first.passed;
        return { body: path };
      },
    });
    const socket = await connect();
    socket.send(['/1', '/2', '/3'].map((path) => requestText(path)).join(''));
    await backend.until(() => backend.requests.length > 0);
    first.open();
    for (const path of ['/1', '/2', '/3']) assert.equal((await takeAnswer(socket)).body, path);
  });

  it('wait behind one that is held', async () => {
    const { connect, members, controlUrl } = await setStage({
      answer: ({ path }) => (path === '/held' ? held('c') : { body: path }),
    });
    const socket = await connect();
    socket.send(requestText('/held') + requestText('/next'));
    await eventually(async () => (await members('c')) === 1);
    const item = { channel: 'c', formats: { 'http-response': { body: 'published' } } };
    await fetch(`${controlUrl}/publish/`, { method: 'POST', body: JSON.stringify({ items: [item] }) });
    assert.equal((await takeAnswer(socket)).body, 'published');
    assert.equal((await takeAnswer(socket)).body, '/next');
  });

  it('may share a connection, with HTTP/1.0 if they ask for it', async () => {
    const { connect } = await setStage({ answer: ({ path }) => ({ body: path }) });
    for (const [version, headers] of [
      ['1.1', []],
      ['1.0', ['Connection: keep-alive']],
    ] as const) {
      const socket = await connect();
      for (const path of ['/1', '/2']) {
        socket.send(requestText(path, { version, headers }));
        assert.equal((await takeAnswer(socket)).body, path);
      }
    }
    const last = await connect();
    last.send(requestText('/1', { version: '1.0' }));
    assert.equal((await takeAnswer(last)).body, '/1');
    await last.takeEnd();
  });

  it('may have 64 header fields', async () => {
    const { backend, connect } = await setStage({ answer: () => ({ body: 'x' }) });
    const socket = await connect();
    socket.send(requestText('/', { headers: Array.from({ length: 63 }, (_, i) => `X-${i}: ${i}`) })); // And a Host.
    assert.equal((await takeAnswer(socket)).status, 200);
    assert.equal(backend.requests[0]?.headers['x-62'], '62');
  });

  it('need no length where there is no body', async () => {
    const { backend, connect } = await setStage({ answer: ({ body }) => ({ body: String(body.length) }) });
    const socket = await connect();
    socket.send(requestText('/', { method: 'POST' }));
    assert.equal((await takeAnswer(socket)).body, '0');
    assert.equal(backend.requests[0]?.headers['transfer-encoding'], undefined);
  });

  it('go to a host in lower case, or to the one that the target has', async () => {
    const answer = reply([]);
    const { backend, connect } = await setStage({ answer: () => answer });
    const named = await setStage({ targets: [{ url: backend.origin, host: 'target.example' }] });
    for (const stage of [{ connect }, named]) {
      const socket = await stage.connect();
      socket.send(requestText('/', { host: 'Client.Example:81' }));
      await takeAnswer(socket);
    }
    assert.deepEqual(
      backend.requests.map(({ headers }) => headers.host),
      ['client.example:81', 'target.example'],
    );
  });

  it('know nothing of fields that only Pushpin reads', async () => {
    const { url } = await setStage({ answer: ({ headers }) => ({ body: String(headers['pushpin-check']) }) });
    assert.equal(await (await fetch(url, { headers: { 'Pushpin-Check': 'x' } })).text(), 'x');
  });
});
