/** GRIP 2.12: the maximum values of a connection. */
import assert from 'node:assert/strict';
import { binary, reply } from '../support/backend.ts';
import { clientFrame, fragments, opcodes } from '../support/raw-socket.ts';
import { afterOpen, clearStage, eventually, gate, nothing, onClear, pause, said, setStage } from './stage.ts';

afterEach(clearStage);

/** The number when it has not changed for a quarter of a second. */
async function settled(number: () => number): Promise<number> {
  let before = -1;
  while (number() !== before) {
    before = number();
    await pause(250);
  }
  return before;
}

describe('limits (GRIP 2.12)', () => {
  it('lets a message of 199999 bytes pass, and closes with 1009 for a longer one', async () => {
    const { backend, openRaw } = await setStage({ answer: afterOpen(() => nothing) });
    const client = await openRaw();
    client.send(clientFrame(opcodes.binary, Buffer.alloc(199_999)));
    await backend.until(() => backend.requests.length === 2);
    client.send(clientFrame(opcodes.binary, Buffer.alloc(200_000)));
    const frame = await client.takeFrame();
    assert.equal(frame.opcode, opcodes.close);
    assert.equal(frame.payload.readUInt16BE(), 1009);
    await client.takeEnd();
    await backend.until(() => backend.requests.length === 3);
    assert.deepEqual(said(backend.requests[2]?.events ?? []), ['DISCONNECT']);
  });

  it('counts the fragments of a message together, and does not wait for the last', async () => {
    const { openRaw } = await setStage({ answer: afterOpen(() => nothing), route: { limits: { messageBytes: 100 } } });
    const client = await openRaw();
    client.send(clientFrame(opcodes.text, 'x'.repeat(60), { fin: false }));
    client.send(clientFrame(opcodes.continuation, 'x'.repeat(60), { fin: false }));
    assert.equal((await client.takeFrame()).payload.readUInt16BE(), 1009);
  });

  it('refuses a frame by its stated length, before its content comes', async () => {
    const { openRaw } = await setStage();
    const client = await openRaw();
    client.send(clientFrame(opcodes.binary, '', { statedLength: 2 ** 40, lengthBytes: 8 }));
    assert.equal((await client.takeFrame()).payload.readUInt16BE(), 1009);
  });

  it('lets many fragments pass that are small together', async () => {
    const { openRaw } = await setStage();
    const client = await openRaw();
    client.send(fragments(opcodes.text, Array(500).fill('ab')));
    assert.equal((await client.takeFrame()).payload.toString(), 'ab'.repeat(500));
  });

  it('stops reading from a client while 200000 bytes wait, goes on later, and loses nothing', async () => {
    const held = gate();
    const { backend, openRaw } = await setStage({
      answer: afterOpen(async () => {
        await held.passed;
        return nothing;
      }),
    });
    const client = await openRaw();
    const frame = clientFrame(opcodes.binary, Buffer.alloc(50_000));
    const total = 400;
    for (let i = 0; i < total; i += 1) client.send(frame);
    await pause(200);
    assert.ok(client.socket.writableLength > 5_000_000, `${client.socket.writableLength} bytes unsent`);
    held.open();
    await backend.until(() => backend.events().length === total + 1, 8000);
    for (const { body } of backend.requests) assert.ok(body.length < 260_000, `${body.length} bytes`);
  });

  for (const [what, payload] of [
    ['empty messages', ''],
    ['messages of one byte', 'x'],
  ] as const) {
    it(`stops reading from a client that sends ${what} without end`, async () => {
      const held = gate();
      const { backend, openRaw } = await setStage({
        answer: afterOpen(async () => {
          await held.passed;
          return nothing;
        }),
      });
      const client = await openRaw();
      const many = Buffer.concat(Array(10_000).fill(clientFrame(opcodes.text, payload)));
      for (let i = 0; i < 200; i += 1) client.send(many);
      const unsent = await settled(() => client.socket.writableLength);
      assert.ok(unsent > 1_000_000, `${unsent} bytes unsent`);
      held.open();
      await backend.until(() => backend.events().length > 20_000, 8000);
    });
  }

  it('makes no request while 200000 bytes for the client are unsent, and goes on when it has taken them', async () => {
    const large = binary(Buffer.alloc(900_000, 1));
    const { backend, openRaw } = await setStage({ answer: afterOpen(() => reply([large])) });
    const client = await openRaw();
    client.socket.pause();
    for (let i = 0; i < 40; i += 1) {
      client.send(clientFrame(opcodes.text, 'more'));
      await pause(5);
    }
    await pause(300);
    const before = backend.requests.length;
    assert.ok(before < 35, `${before} requests`);
    client.send(clientFrame(opcodes.text, 'last'));
    await pause(100);
    assert.equal(backend.requests.length, before);
    client.socket.resume();
    await backend.until(() => said(backend.events()).includes('TEXT last'));
  });

  it('tells the backend that a client is lost that had not taken what was sent to it', async () => {
    const { backend, openRaw } = await setStage({
      answer: afterOpen(({ events }) => (events[0]?.kind === 'text' ? reply([binary(Buffer.alloc(900_000))]) : nothing)),
    });
    const client = await openRaw();
    client.socket.pause();
    const sending = setInterval(() => client.send(clientFrame(opcodes.text, 'more')), 2);
    onClear(() => clearInterval(sending));
    await settled(() => backend.requests.length);
    clearInterval(sending);
    client.socket.resetAndDestroy();
    await backend.until(() => said(backend.events()).includes('DISCONNECT'));
  });

  it('goes on though the limit of unsent bytes is small', async () => {
    const some = binary(Buffer.alloc(10_000, 1));
    const { backend, openRaw } = await setStage({
      answer: afterOpen(() => reply([some])),
      route: { limits: { unsentBytes: 1000 } },
    });
    const client = await openRaw();
    client.socket.pause();
    const sending = setInterval(() => client.send(clientFrame(opcodes.text, 'more')), 1);
    onClear(() => clearInterval(sending));
    await settled(() => backend.requests.length);
    clearInterval(sending);
    const before = backend.requests.length;
    client.socket.resume();
    await backend.until(() => backend.requests.length > before);
  });

  it('delivers a reply message of nearly 1000000 bytes whole', async () => {
    const { open } = await setStage({ answer: afterOpen(() => reply([binary(Buffer.alloc(999_900, 5))])) });
    const client = await open();
    client.send('x');
    assert.deepEqual((await client.next()).data, Buffer.alloc(999_900, 5));
  });

  it('ends a connection on which nothing is said for the idle time, and tells the backend', async () => {
    const { backend, open } = await setStage({ route: { idle: '500ms' } });
    const [idle, busy] = [await open(), await open()];
    const talking = setInterval(() => busy.send('x'), 100);
    const closing = await idle.closed(4000);
    clearInterval(talking);
    assert.equal(closing.code, 4408);
    assert.equal(busy.closing, undefined);
    await backend.until(() => said(backend.events()).includes('DISCONNECT'));
  });

  it('takes no more sessions than the process is allowed', async () => {
    const { open, connect } = await setStage({ settings: { limits: { sessions: 2 } } });
    const client = await open();
    await open();
    const head = await (await connect()).handshake();
    assert.equal(head.status, 503);
    assert.ok(Number(head.headers.get('retry-after')) > 0);
    await client.close();
    await eventually(async () => (await (await connect()).handshake()).status === 101);
  });
});
