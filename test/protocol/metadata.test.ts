/** GRIP 2.6: metadata of a connection, kept for its backend. */
import assert from 'node:assert/strict';
import { reply, text } from '../support/backend.ts';
import { eventsReply, startBareBackend } from './raw-backend.ts';
import { accepted, acceptedWithGrip, afterOpen, clearStage, gate, nothing, pause, said, setStage } from './stage.ts';

afterEach(clearStage);

/** The `Meta-*` fields of a request. */
function metaOf(headers: NodeJS.Dict<string | string[]>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('meta-')));
}

describe('metadata (GRIP 2.6)', () => {
  it('comes back with every later request, DISCONNECT included', async () => {
    const { backend, open } = await setStage({
      answer: afterOpen(() => nothing, accepted({ 'Set-Meta-User': '42', 'Set-Meta-Room-Id': 'a b; c="d"' })),
    });
    const client = await open();
    client.send('x');
    await backend.until(() => backend.requests.length === 2);
    client.socket.terminate();
    await backend.until(() => backend.requests.length === 3);
    assert.deepEqual(metaOf(backend.requests[0]?.headers ?? {}), {});
    for (const request of backend.requests.slice(1)) {
      assert.deepEqual(metaOf(request.headers), { 'meta-user': '42', 'meta-room-id': 'a b; c="d"' });
    }
  });

  it('comes back with keep-alives and CLOSE', async () => {
    const { backend, open, refresh } = await setStage({
      answer: afterOpen(({ events }) => reply(events), accepted({ 'Set-Meta-A': '1' })),
    });
    const client = await open();
    await refresh(String(backend.requests[0]?.headers['connection-id']));
    await backend.until(() => backend.requests.length === 2);
    await client.close();
    assert.deepEqual(
      backend.requests.slice(1).map(({ headers }) => metaOf(headers)),
      [{ 'meta-a': '1' }, { 'meta-a': '1' }],
    );
  });

  it('is replaced by name in any case, and deleted by an empty value', async () => {
    const replies = [{ 'SET-META-USER': '7' }, { 'set-meta-user': '' }, {}];
    let next = 0;
    const { backend, open } = await setStage({
      answer: afterOpen(
        () => {
          next += 1;
          return reply([], replies[next - 1] ?? {});
        },
        accepted({ 'Set-Meta-User': '42', 'Set-Meta-Other': 'o' }),
      ),
    });
    const client = await open();
    for (let i = 1; i <= 4; i += 1) {
      client.send('x');
      await backend.until(() => backend.requests.length === i + 1);
      await pause(10);
    }
    assert.deepEqual(
      backend.requests.map(({ headers }) => headers['meta-user']),
      [undefined, '42', '7', undefined, undefined],
    );
    assert.deepEqual(
      backend.requests.map(({ headers }) => headers['meta-other']),
      [undefined, 'o', 'o', 'o', 'o'],
    );
  });

  it('takes the last of repeated names', async () => {
    const backend = await startBareBackend(({ socket, index }) => {
      socket.write(index === 0 ? eventsReply('OPEN\r\n', 'Set-Meta-A: 1', 'set-meta-a: 2') : eventsReply(''));
    });
    const { open } = await setStage({ targets: [{ url: backend.origin }] });
    const client = await open();
    client.send('x');
    await pause(50);
    assert.match(backend.requests[1]?.head ?? '', /^meta-a: 2$/im);
    assert.doesNotMatch(backend.requests[1]?.head ?? '', /^meta-a: 1$/im);
  });

  it('still counts in the reply to a request that was in flight when the client was lost', async () => {
    const held = gate();
    const { backend, open } = await setStage({
      answer: afterOpen(async ({ events }) => {
        if (events[0]?.kind === 'disconnect') return nothing;
        await held.passed;
        return reply([], { 'Set-Meta-Late': 'yes' });
      }),
    });
    const client = await open();
    client.send('x');
    await backend.until(() => backend.requests.length === 2);
    client.socket.terminate();
    await pause(30);
    assert.equal(backend.requests.length, 2);
    held.open();
    await backend.until(() => backend.requests.length === 3);
    assert.deepEqual(said(backend.requests[2]?.events ?? []), ['DISCONNECT']);
    assert.equal(backend.requests[2]?.headers['meta-late'], 'yes');
  });

  it('belongs to one connection', async () => {
    let next = 0;
    const { backend, open } = await setStage({
      answer: afterOpen(() => nothing, accepted()),
    });
    const plain = backend.answer;
    backend.answer = (request) => {
      if (request.events[0]?.kind !== 'open') return plain(request);
      next += 1;
      return accepted({ 'Set-Meta-N': String(next) });
    };
    const [first, second] = [await open(), await open()];
    first.send('from 1');
    second.send('from 2');
    await backend.until(() => backend.requests.length === 4);
    for (const request of backend.requests.slice(2))
      assert.equal(said(request.events)[0], `TEXT from ${String(request.headers['meta-n'])}`);
  });

  it('cannot be forged by a client', async () => {
    const { backend, open } = await setStage({ answer: afterOpen(() => nothing, accepted({ 'Set-Meta-User': '42' })) });
    const client = await open('/', { headers: { 'Meta-User': '1', 'Set-Meta-User': '2' } });
    client.send('x');
    await backend.until(() => backend.requests.length === 2);
    assert.deepEqual(metaOf(backend.requests[0]?.headers ?? {}), {});
    assert.deepEqual(metaOf(backend.requests[1]?.headers ?? {}), { 'meta-user': '42' });
  });

  it('is not shown to the client, and is not what filters read', async () => {
    const filtered = text('c:{"type":"subscribe","channel":"a","filters":["skip-self"]}');
    const { open, publish } = await setStage({ answer: () => acceptedWithGrip([filtered], { 'Set-Meta-User': 'bob' }) });
    const client = await open();
    assert.equal(client.headers['set-meta-user'], undefined);
    await publish('a', { content: 'hi' }, { meta: { sender: 'bob' } });
    assert.equal(await client.nextText(), 'hi');
  });

  it('ends the connection when it is too large to be sent back', async () => {
    const { open } = await setStage({ answer: afterOpen(() => reply([], { 'Set-Meta-Big': 'x'.repeat(4097) })) });
    const client = await open();
    client.send('x');
    assert.equal((await client.closed()).code, 1011);
  });
});
