/**
 * GRIP 2.7: requests after silence, and what hangs on the interval: the opening that waits (2.4) and the close that is offered
 * again (2.9). The shortest interval is 20 s, so everything that has to wait for it waits at the same time, once.
 */
import assert from 'node:assert/strict';
import { echo, reply, text, type BackendReply, type BackendRequest } from '../support/backend.ts';
import { clientFrame, closeFrame, handshakeRequest, opcodes } from '../support/raw-socket.ts';
import { accepted, afterOpen, clearStage, eventually, isOpening, nothing, pause, said, setStage } from './stage.ts';

afterEach(clearStage);

const every = (seconds: number | string) => ({ 'Keep-Alive-Interval': String(seconds) });

describe('keep-alive (GRIP 2.7)', () => {
  it('asks after 20 s of silence though told 1, opens on the second OPEN, offers CLOSE again, and stops when told', async function () {
    this.timeout(30_000);
    const { backend, connect, openRaw, open } = await setStage({ answer: byPath });
    const at = (path: string): readonly BackendRequest[] => backend.requests.filter((request) => request.path === path);
    const start = performance.now();
    const waiting = await connect();
    waiting.send(handshakeRequest({ path: '/waits' }));
    const silent = await open('/silent');
    const closing = await openRaw({ path: '/closes' });
    closing.send(closeFrame(4000, 'x'));
    const deaf = await openRaw({ path: '/deaf' });
    deaf.send(clientFrame(opcodes.text, 'x'));
    assert.equal((await deaf.takeFrame()).opcode, opcodes.close); // It is not answered.
    const [huge, stopped, changed] = [await open('/huge'), await open('/stopped'), await open('/closed-answered')];
    stopped.send('stop');
    changed.send('x');
    await pause(10_000);
    silent.send('not silent'); // Every completed request starts the time anew.

    await deaf.takeEnd(); // A peer has ten seconds to answer a close.
    await backend.until(() => at('/deaf').length === 3);
    assert.deepEqual(
      at('/deaf').map(({ events }) => said(events).join()),
      ['OPEN', 'TEXT x', 'DISCONNECT'],
    );
    await backend.until(() => at('/waits').length === 2 && at('/closes').length === 3, 13_000);
    assert.ok(performance.now() - start > 19_500);
    assert.equal((await waiting.takeHead()).status, 101);
    assert.equal((await waiting.takeFrame()).payload.toString(), 'welcome');
    assert.deepEqual(
      at('/closes')
        .slice(1)
        .map(({ events }) => said(events)[0]),
      ['CLOSE 4000 x', 'CLOSE 4000 x'],
    );
    const answer = await closing.takeFrame();
    assert.equal(answer.opcode, opcodes.close);
    assert.equal(answer.payload.readUInt16BE(), 4001);
    assert.equal(at('/silent').length, 2);
    assert.equal(at('/stopped').length, 2);
    assert.equal(huge.closing, undefined);
    assert.equal(at('/huge').length, 1); // An interval of years is no reason to ask at once.
    await pause(1000);
    assert.equal(at('/closed-answered').length, 3);
    assert.equal(at('/closed-answered')[2]?.body.length, 0);
    assert.equal(await changed.nextText(), 'asked');
  });

  it('does not ask at once however long the interval is', async () => {
    const { backend, open } = await setStage({ answer: afterOpen(echo, accepted(every(999_999_999))) });
    await open();
    await pause(100);
    assert.equal(backend.requests.length, 1);
  });

  it('does not ask OPEN again at once however long the interval is', async () => {
    const { backend, connect } = await setStage({ answer: () => reply([], every(999_999_999)) });
    const client = await connect();
    client.send(handshakeRequest());
    await pause(100);
    assert.equal(backend.requests.length, 1);
    client.destroy();
  });

  it('forgets a client that left while its OPEN waits for the next time', async () => {
    const { backend, foregate, connect } = await setStage({ answer: () => reply([], every(20)) });
    const client = await connect();
    client.send(handshakeRequest());
    await backend.until(() => backend.requests.length === 1);
    client.destroy();
    await pause(30);
    const start = performance.now();
    await foregate.stop();
    assert.ok(performance.now() - start < 400, 'the stop waits for a client that is gone');
  });

  it('drops the client at once on an unanswered CLOSE when the interval was turned off', async () => {
    for (const off of ['0', 'x', '-1', '']) {
      const { backend, openRaw } = await setStage({ answer: afterOpen(() => reply([], every(off)), accepted(every(20))) });
      const client = await openRaw();
      client.send(closeFrame(1000));
      await backend.until(() => backend.requests.length === 2);
      await client.takeEnd();
      assert.equal(client.received.length, 0);
      await clearStage();
    }
  });

  it('keeps the setting where the header is absent', async () => {
    const { backend, openRaw } = await setStage({ answer: afterOpen(() => nothing, accepted(every(20))) });
    const client = await openRaw();
    client.send(closeFrame(1000));
    await backend.until(() => backend.requests.length === 2);
    await pause(50);
    assert.equal(client.ended, false);
  });

  it('lets a refresh after the client has closed make no request, but for the close that is offered again', async () => {
    const { backend, openRaw, refresh } = await setStage({ answer: afterOpen(() => nothing, accepted(every(20))) });
    const client = await openRaw();
    client.send(closeFrame(1000));
    await backend.until(() => backend.requests.length === 2);
    await pause(20);
    assert.equal(await refresh(String(backend.requests[0]?.headers['connection-id'])), true);
    await pause(50);
    assert.equal(backend.requests.length, 2);
    await eventually(() => !client.ended);
  });
});

function byPath(request: BackendRequest): BackendReply {
  const { path, events } = request;
  switch (path) {
    case '/waits':
      return seen(request) === 1 ? reply([], every(20)) : accepted({}, [text('welcome')]);
    case '/closes':
      if (isOpening(request)) return accepted(every(1));
      return seen(request) === 1 ? nothing : reply([{ kind: 'close', code: 4001, reason: '' }]);
    case '/deaf':
      return isOpening(request)
        ? accepted()
        : reply(events[0]?.kind === 'text' ? [{ kind: 'close', code: 4000, reason: '' }] : []);
    case '/stopped':
      return isOpening(request) ? accepted(every(20)) : reply([], every('off'));
    case '/huge':
      return accepted(every(999_999_999));
    case '/closed-answered':
      if (isOpening(request)) return accepted(every(20));
      return events.length === 0 ? reply([text('asked')], every(0)) : nothing;
    default:
      return isOpening(request) ? accepted(every(20)) : nothing;
  }
}

const counts = new Map<string, number>();

/** Counts the requests of a connection's path. */
function seen({ path }: BackendRequest): number {
  const count = (counts.get(path) ?? 0) + 1;
  counts.set(path, count);
  return count;
}
