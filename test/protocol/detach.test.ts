/** GRIP 2.11: the backend lets go of a connection that stays for publications. */
import assert from 'node:assert/strict';
import { echo, reply, text } from '../support/backend.ts';
import { clientFrame, closeFrame, opcodes } from '../support/raw-socket.ts';
import { acceptedWithGrip, afterOpen, clearStage, nothing, pause, said, setStage } from './stage.ts';

afterEach(clearStage);

const subscribe = text('c:{"type":"subscribe","channel":"a"}');
const detach = text('c:{"type":"detach"}');
const detached = acceptedWithGrip([subscribe, detach]);

describe('detach (GRIP 2.11)', () => {
  it('sends the backend CLOSE at once, and nothing of the client after it', async () => {
    const { backend, open } = await setStage({ answer: afterOpen(() => nothing, detached) });
    const client = await open();
    await backend.until(() => backend.requests.length === 2);
    assert.equal(backend.requests[1]?.body.toString(), 'CLOSE\r\n');
    client.send('x');
    client.socket.ping('y');
    await pause(50);
    assert.equal(backend.requests.length, 2);
    assert.equal(client.closing, undefined);
  });

  for (const [what, answer] of [
    ['answers its CLOSE with CLOSE', echo],
    ['answers its CLOSE with text', () => reply([text('m:hello')])],
    ['drops', () => reply([{ kind: 'disconnect' }])],
    ['fails on its CLOSE', () => ({ status: 500 })],
    ['answers its CLOSE with rubbish', () => ({ headers: { 'Content-Type': 'application/websocket-events' }, body: '?' })],
  ] as const) {
    it(`keeps the client when the backend ${what}`, async () => {
      const { backend, open, say } = await setStage({ answer: afterOpen(answer, detached) });
      const client = await open();
      await backend.until(() => backend.requests.length === 2);
      await pause(50);
      assert.equal(client.closing, undefined);
      await say('a', 'still here');
      assert.equal(await client.nextText(), 'still here');
    });
  }

  it('lets publications and the publisher close the client', async () => {
    const { backend, open, publish, say } = await setStage({ answer: afterOpen(() => nothing, detached) });
    const client = await open();
    await backend.until(() => backend.requests.length === 2);
    await say('a', 'hi');
    assert.equal(await client.nextText(), 'hi');
    await publish('a', { action: 'close', code: 4001, reason: 'over' });
    assert.deepEqual(await client.closed(), { code: 4001, reason: 'over' });
    await pause(30);
    assert.equal(backend.requests.length, 2);
  });

  it('lets keep-alives go on', async () => {
    const keepAlive = text('c:{"type":"keep-alive","content":"tick","timeout":1,"mode":"interval"}');
    const { open } = await setStage({ answer: afterOpen(() => nothing, acceptedWithGrip([keepAlive, detach])) });
    const client = await open();
    assert.equal(await client.nextText(), 'tick');
  });

  it('answers a close of the client with 1000, and tells the backend nothing', async () => {
    const { backend, openRaw } = await setStage({ answer: afterOpen(() => nothing, detached) });
    const client = await openRaw();
    await backend.until(() => backend.requests.length === 2);
    client.send(closeFrame(4000, 'x'));
    const frame = await client.takeFrame();
    assert.equal(frame.opcode, opcodes.close);
    assert.equal(frame.payload.readUInt16BE(), 1000);
    await client.takeEnd();
    await pause(30);
    assert.equal(backend.requests.length, 2);
  });

  it('makes no DISCONNECT when the client is lost', async () => {
    const { backend, open } = await setStage({ answer: afterOpen(() => nothing, detached) });
    const client = await open();
    await backend.until(() => backend.requests.length === 2);
    client.socket.terminate();
    await pause(50);
    assert.deepEqual(said(backend.events()), ['OPEN', 'CLOSE -']);
  });

  it('makes no request on a refresh', async () => {
    const { backend, open, refresh } = await setStage({ answer: afterOpen(() => nothing, detached) });
    await open();
    await backend.until(() => backend.requests.length === 2);
    await refresh(String(backend.requests[0]?.headers['connection-id']));
    await pause(30);
    assert.equal(backend.requests.length, 2);
  });

  it('may come later, and discards what the client had sent meanwhile', async () => {
    const { backend, openRaw } = await setStage({
      answer: afterOpen(
        async ({ events }) => {
          await pause(30);
          return events[0]?.kind === 'text' ? reply([detach]) : nothing;
        },
        acceptedWithGrip([subscribe]),
      ),
    });
    const client = await openRaw();
    client.send(clientFrame(opcodes.text, '0'));
    await backend.until(() => backend.requests.length === 2);
    client.send(clientFrame(opcodes.text, '1'));
    await backend.until(() => backend.requests.length === 3);
    await pause(50);
    assert.deepEqual(said(backend.events()), ['OPEN', 'TEXT 0', 'CLOSE -']);
  });

  it('answers the close of a client that was not being read when it came', async () => {
    const { backend, openRaw } = await setStage({
      answer: afterOpen(({ events }) => (said(events)[0] === 'TEXT go' ? reply([detach]) : nothing), acceptedWithGrip()),
      policy: { message: (_session, message) => (message.data.toString() === 'wait' ? { kind: 'delay', ms: 300 } : undefined) },
    });
    const client = await openRaw();
    client.send(Buffer.concat([clientFrame(opcodes.text, 'go'), clientFrame(opcodes.text, 'wait')]));
    await backend.until(() => backend.requests.length === 3);
    await pause(20);
    client.send(closeFrame(4000));
    assert.equal((await client.takeFrame(2000)).payload.readUInt16BE(), 1000);
  });
});
