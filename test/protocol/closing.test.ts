/** GRIP 2.9: how a connection ends, by whom it may be. */
import assert from 'node:assert/strict';
import type { ClientEvent } from '../../gateway/core/event.ts';
import { deny } from '../../gateway/core/policy.ts';
import { echo, reply, text } from '../support/backend.ts';
import { clientFrame, closeFrame, opcodes, type RawSocket } from '../support/raw-socket.ts';
import { accepted, acceptedWithGrip, afterOpen, clearStage, gate, isOpening, nothing, pause, said, setStage } from './stage.ts';

afterEach(clearStage);

const joined = acceptedWithGrip([text('c:{"type":"subscribe","channel":"a"}')]);

/** Answers a CLOSE of the client with these events. */
function closingWith(events: readonly ClientEvent[]) {
  return afterOpen((request) => (request.events.some(({ kind }) => kind === 'close') ? reply(events) : nothing));
}

function close(code?: number, reason = ''): ClientEvent {
  return code === undefined ? { kind: 'close', reason } : { kind: 'close', code, reason };
}

/** The close frame that comes next: code (undefined without one) and reason; then the end. */
async function takeClose(client: RawSocket): Promise<[code: number | undefined, reason: string]> {
  const frame = await client.takeFrame();
  assert.equal(frame.opcode, opcodes.close);
  await client.takeEnd();
  assert.equal(client.received.length, 0);
  return frame.payload.length < 2 ? [undefined, ''] : [frame.payload.readUInt16BE(), frame.payload.toString('utf8', 2)];
}

describe('a close by the client (GRIP 2.9)', () => {
  it('goes out together with all that is queued', async () => {
    const held = gate();
    let first = true;
    const { backend, openRaw } = await setStage({
      answer: afterOpen(async (request) => {
        if (first) {
          first = false;
          await held.passed;
        }
        return echo(request);
      }),
    });
    const client = await openRaw();
    client.send(clientFrame(opcodes.text, '0'));
    await backend.until(() => backend.requests.length === 2);
    client.send(Buffer.concat([clientFrame(opcodes.text, '1'), clientFrame(opcodes.text, '2'), closeFrame(4000, 'bye')]));
    await pause(20);
    held.open();
    await backend.until(() => backend.requests.length === 3);
    assert.deepEqual(said(backend.requests[2]?.events ?? []), ['TEXT 1', 'TEXT 2', 'CLOSE 4000 bye']);
    for (const expected of ['0', '1', '2']) assert.equal((await client.takeFrame()).payload.toString(), expected);
    assert.deepEqual(await takeClose(client), [4000, 'bye']);
    await pause(30);
    assert.equal(backend.requests.length, 3);
  });

  it('is told without content when it has no code', async () => {
    const { backend, openRaw } = await setStage();
    const client = await openRaw();
    client.send(closeFrame());
    await backend.until(() => backend.requests.length === 2);
    assert.equal(backend.requests[1]?.body.toString(), 'CLOSE\r\n');
    assert.deepEqual(await takeClose(client), [1000, '']);
  });

  it("is answered with the backend's code and reason, not the client's, after the messages before them", async () => {
    const { backend, openRaw } = await setStage({ answer: closingWith([text('so long'), close(4321, 'härlich')]) });
    const client = await openRaw();
    client.send(closeFrame(1000, 'mine'));
    assert.equal((await client.takeFrame()).payload.toString(), 'so long');
    assert.deepEqual(await takeClose(client), [4321, 'härlich']);
    await pause(30);
    assert.equal(backend.requests.length, 2);
  });

  const mapped: readonly [string, number | undefined, number, number][] = [
    ['without content by 1000', undefined, 4000, 1000],
    ["with code 0 by the client's own", 0, 4000, 4000],
    ["with code 1005 by the client's own", 1005, 3999, 3999],
    ["with code 1006 by the client's own", 1006, 1001, 1001],
    ["with code 1015 by the client's own", 1015, 1000, 1000],
    ["with code 5000 by the client's own", 5000, 4999, 4999],
    ["with code 999 by the client's own", 999, 3000, 3000],
    ['with code 1012 as it is', 1012, 4000, 1012],
  ];
  for (const [what, backendCode, clientCode, expected] of mapped) {
    it(`replaces an answer ${what}`, async () => {
      const { openRaw } = await setStage({ answer: closingWith([close(backendCode)]) });
      const client = await openRaw();
      client.send(closeFrame(clientCode));
      assert.deepEqual(await takeClose(client), [expected, '']);
    });
  }

  it('takes an answer of one byte for one without a code', async () => {
    const { openRaw } = await setStage({
      answer: (request) =>
        isOpening(request)
          ? accepted()
          : { headers: { 'Content-Type': 'application/websocket-events' }, body: 'CLOSE 1\r\nx\r\n' },
    });
    const client = await openRaw();
    client.send(closeFrame(4000));
    assert.deepEqual(await takeClose(client), [1000, '']);
  });

  it('ends without a close frame when the backend does not answer it', async () => {
    const { backend, openRaw } = await setStage({ answer: afterOpen(() => nothing) });
    const client = await openRaw();
    client.send(closeFrame(1000));
    await client.takeEnd();
    assert.equal(client.received.length, 0);
    await pause(30);
    assert.deepEqual(said(backend.events()), ['OPEN', 'CLOSE 1000']);
  });

  it('ends with 1011 when the backend fails on it, or without a frame where the route wants it so', async () => {
    for (const closeFrames of [true, false]) {
      const { backend, openRaw } = await setStage({ answer: afterOpen(() => ({ status: 500 })), route: { closeFrames } });
      const client = await openRaw();
      client.send(closeFrame(1000));
      if (closeFrames) assert.equal((await takeClose(client))[0], 1011);
      await client.takeEnd();
      assert.equal(client.received.length, 0);
      await pause(20);
      assert.equal(backend.requests.length, 2);
      await clearStage();
    }
  });

  it('makes no request for what the client sends behind it', async () => {
    const { backend, openRaw } = await setStage();
    const client = await openRaw();
    client.send(Buffer.concat([closeFrame(1000), clientFrame(opcodes.text, 'late')]));
    await client.takeEnd();
    await pause(30);
    assert.deepEqual(said(backend.events()), ['OPEN', 'CLOSE 1000']);
  });

  it('lets a publication reach nobody any more', async () => {
    const held = gate();
    const { backend, openRaw, say, members } = await setStage({
      answer: afterOpen(async (request) => {
        await held.passed;
        return echo(request);
      }, joined),
    });
    const client = await openRaw();
    assert.equal(await members('a'), 1);
    client.send(closeFrame(1000));
    await backend.until(() => backend.requests.length === 2);
    await say('a', 'too late');
    await pause(30);
    held.open();
    assert.deepEqual(await takeClose(client), [1000, '']);
    assert.equal(await members('a'), 0);
  });

  it('ends the connection where the gateway refuses it and faults are dropped or answered', async () => {
    for (const action of ['drop', 'answer']) {
      const { openRaw } = await setStage({
        answer: afterOpen(() => ({ status: 503 })),
        route: { onFault: { upstream: action } },
      });
      const client = await openRaw();
      client.send(closeFrame(1000));
      await client.takeEnd();
      await clearStage();
    }
  });
});

describe('a close by the backend (GRIP 2.9)', () => {
  it('reaches the client with code and reason; its answer reaches the backend, and that was all', async () => {
    const { backend, openRaw } = await setStage({
      answer: afterOpen(({ events }) => (said(events)[0] === 'TEXT go' ? reply([close(4001, 'go away')]) : nothing)),
    });
    const client = await openRaw();
    client.send(clientFrame(opcodes.text, 'go'));
    const frame = await client.takeFrame();
    assert.deepEqual([frame.payload.readUInt16BE(), frame.payload.toString('utf8', 2)], [4001, 'go away']);
    assert.equal(client.ended, false);
    client.send(closeFrame(4002, 'going'));
    await client.takeEnd();
    await backend.until(() => backend.requests.length === 3);
    await pause(30);
    assert.deepEqual(said(backend.events()), ['OPEN', 'TEXT go', 'CLOSE 4002 going']);
  });

  for (const code of [0, 1004, 1005, 1006, 1015, 2999, 5000, 65_535]) {
    it(`goes out with 1000 instead of ${code}`, async () => {
      const { open } = await setStage({ answer: afterOpen(() => reply([close(code, 'why')])) });
      const client = await open();
      client.send('x');
      assert.equal((await client.closed()).code, 1000);
    });
  }

  it('without content has code 1000 and no reason', async () => {
    const { open } = await setStage({ answer: afterOpen(() => reply([close()])) });
    const client = await open();
    client.send('x');
    assert.deepEqual(await client.closed(), { code: 1000, reason: '' });
  });

  it('has its reason cut to what a frame can hold, never inside a character', async () => {
    const { open } = await setStage({ answer: afterOpen(() => reply([close(4000, `a${'é'.repeat(100)}`)])) });
    const client = await open();
    client.send('x');
    assert.deepEqual(await client.closed(), { code: 4000, reason: `a${'é'.repeat(61)}` });
  });

  it('discards what the client had sent meanwhile', async () => {
    const held = gate();
    let count = 0;
    const { backend, openRaw } = await setStage({
      answer: afterOpen(async () => {
        count += 1;
        if (count === 1) await held.passed;
        return count === 1 ? reply([close(4000)]) : nothing;
      }),
    });
    const client = await openRaw();
    client.send(clientFrame(opcodes.text, '0'));
    await backend.until(() => backend.requests.length === 2);
    client.send(clientFrame(opcodes.text, '1'));
    await pause(20);
    held.open();
    assert.equal((await client.takeFrame()).opcode, opcodes.close);
    client.send(Buffer.concat([clientFrame(opcodes.text, '2'), closeFrame(4000)]));
    await client.takeEnd();
    await pause(30);
    assert.deepEqual(said(backend.events()), ['OPEN', 'TEXT 0', 'CLOSE 4000']);
  });

  it('is followed by DISCONNECT when the client goes away without an answer', async () => {
    const { backend, openRaw } = await setStage({
      answer: afterOpen(({ events }) => (isText(events) ? reply([close(4000)]) : nothing)),
    });
    const client = await openRaw();
    client.send(clientFrame(opcodes.text, 'x'));
    assert.equal((await client.takeFrame()).opcode, opcodes.close);
    client.destroy();
    await backend.until(() => backend.requests.length === 3);
    await pause(30);
    assert.deepEqual(said(backend.events()), ['OPEN', 'TEXT x', 'DISCONNECT']);
  });

  it('crosses with a close of the client', async () => {
    const held = gate();
    const { backend, openRaw } = await setStage({
      answer: afterOpen(async ({ events }) => {
        if (!isText(events)) return nothing;
        await held.passed;
        return reply([close(4001, 'mine')]);
      }),
    });
    const client = await openRaw();
    client.send(clientFrame(opcodes.text, 'x'));
    await backend.until(() => backend.requests.length === 2);
    client.send(closeFrame(4002, 'yours'));
    await pause(20);
    held.open();
    assert.deepEqual(await takeClose(client), [4001, 'mine']);
  });

  it('may come with a keep-alive', async () => {
    const { backend, open, refresh } = await setStage({
      answer: afterOpen(({ events }) => (events.length === 0 ? reply([close(4000, 'idle')]) : nothing)),
    });
    const client = await open();
    await refresh(String(backend.requests[0]?.headers['connection-id']));
    assert.deepEqual(await client.closed(), { code: 4000, reason: 'idle' });
  });
});

describe('a close by a publisher (GRIP 2.9)', () => {
  it('reaches the client with code and reason, and the backend as CLOSE without a code, once', async () => {
    const { backend, openRaw, publish } = await setStage({ answer: afterOpen(echo, joined) });
    const client = await openRaw();
    await publish('a', { action: 'close', code: 4100, reason: 'revoked' });
    const frame = await client.takeFrame();
    assert.deepEqual([frame.payload.readUInt16BE(), frame.payload.toString('utf8', 2)], [4100, 'revoked']);
    await backend.until(() => backend.requests.length === 2);
    client.send(Buffer.concat([clientFrame(opcodes.text, 'late'), closeFrame(4100)]));
    await client.takeEnd();
    await pause(30);
    assert.equal(backend.requests.length, 2);
    assert.equal(backend.requests[1]?.body.toString(), 'CLOSE\r\n');
  });

  it('has code 1000 when none is given', async () => {
    const { open, publish } = await setStage({ answer: afterOpen(echo, joined) });
    const client = await open();
    await publish('a', { action: 'close' });
    assert.deepEqual(await client.closed(), { code: 1000, reason: '' });
  });

  it('waits for the request in flight, whose answer is not delivered any more', async () => {
    const held = gate();
    const { backend, open, publish } = await setStage({
      answer: afterOpen(async (request) => {
        if (isText(request.events)) await held.passed;
        return echo(request);
      }, joined),
    });
    const client = await open();
    client.send('x');
    await backend.until(() => backend.requests.length === 2);
    await publish('a', { action: 'close', code: 4100 });
    assert.equal((await client.closed()).code, 4100);
    assert.equal(backend.requests.length, 2);
    held.open();
    await backend.until(() => backend.requests.length === 3);
    await pause(30);
    assert.deepEqual(said(backend.events()), ['OPEN', 'TEXT x', 'CLOSE -']);
  });
});

describe('the loss of a client (GRIP 2.9)', () => {
  it('is told by one DISCONNECT alone', async () => {
    const { backend, open } = await setStage();
    const client = await open();
    client.send('x');
    await client.next();
    client.socket.terminate();
    await backend.until(() => backend.requests.length === 3);
    await pause(50);
    assert.equal(backend.requests.length, 3);
    assert.equal(backend.requests[2]?.body.toString(), 'DISCONNECT\r\n');
  });

  it('discards what is queued, and lets the request in flight end', async () => {
    const held = gate();
    const { backend, open } = await setStage({
      answer: afterOpen(async ({ events }) => {
        if (isText(events)) await held.passed;
        return nothing;
      }),
    });
    const client = await open();
    client.send('0');
    await backend.until(() => backend.requests.length === 2);
    client.send('1');
    await pause(20);
    client.socket.terminate();
    await pause(30);
    assert.equal(backend.requests.length, 2);
    held.open();
    await backend.until(() => backend.requests.length === 3);
    await pause(30);
    assert.deepEqual(said(backend.events()), ['OPEN', 'TEXT 0', 'DISCONNECT']);
  });

  it('is told though the reply that was in flight closes the connection', async () => {
    const held = gate();
    const { backend, open } = await setStage({
      answer: afterOpen(async ({ events }) => {
        if (isText(events)) await held.passed;
        return isText(events) ? reply([close(4000)]) : nothing;
      }),
    });
    const client = await open();
    client.send('0');
    await backend.until(() => backend.requests.length === 2);
    client.socket.terminate();
    await pause(30);
    held.open();
    await backend.until(() => backend.requests.length === 3);
    assert.deepEqual(said(backend.requests[2]?.events ?? []), ['DISCONNECT']);
  });

  it('is the same when the client only ends its sending side', async () => {
    const { backend, openRaw } = await setStage();
    const client = await openRaw();
    client.socket.end();
    await client.takeEnd();
    await backend.until(() => backend.requests.length === 2);
    await pause(30);
    assert.deepEqual(said(backend.events()), ['OPEN', 'DISCONNECT']);
  });

  it('after its close frame, before the answer, is told by DISCONNECT', async () => {
    const held = gate();
    const { backend, openRaw } = await setStage({
      answer: afterOpen(async ({ events }) => {
        if (events[0]?.kind === 'close') await held.passed;
        return nothing;
      }),
    });
    const client = await openRaw();
    client.send(closeFrame(1000));
    await backend.until(() => backend.requests.length === 2);
    client.destroy();
    await pause(20);
    held.open();
    await pause(50);
    assert.ok(['OPEN,CLOSE 1000', 'OPEN,CLOSE 1000,DISCONNECT'].includes(said(backend.events()).join()));
  });

  it('has the code of its own that a policy gives, at any moment, and the text', async () => {
    const bye = { closeCode: 4800, detail: 'Bye.' } as const;
    const { open } = await setStage({
      policy: {
        message: (session, { data }) => {
          if (data.toString() === 'refuse') return deny('forbidden', bye.detail, bye);
          setImmediate(() => session.end(deny('forbidden', bye.detail, bye)));
          return undefined;
        },
      },
    });
    for (const wish of ['refuse', 'end']) {
      const client = await open();
      client.send(wish);
      const { code, reason } = await client.closed();
      assert.deepEqual([code, reason], [4800, 'Bye.'], wish);
    }
  });

  it('leaves no connection behind in the list', async () => {
    const { open, controlUrl } = await setStage();
    const client = await open();
    assert.equal(await sessionsOf(controlUrl), 1);
    client.socket.terminate();
    await pause(50);
    assert.equal(await sessionsOf(controlUrl), 0);
  });
});

async function sessionsOf(controlUrl: string): Promise<number> {
  const sessions: unknown = await (await fetch(`${controlUrl}/connections`)).json();
  return Array.isArray(sessions) ? sessions.length : -1;
}

function isText(events: readonly ClientEvent[]): boolean {
  return events[0]?.kind === 'text';
}
