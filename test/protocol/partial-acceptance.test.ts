/** GRIP 2.8: a backend that takes only a part of what it was given. */
import assert from 'node:assert/strict';
import { isMessage } from '../../gateway/core/event.ts';
import { reply, type BackendRequest } from '../support/backend.ts';
import { closeFrame, clientFrame, opcodes } from '../support/raw-socket.ts';
import { afterOpen, clearStage, gate, nothing, pause, said, setStage } from './stage.ts';

afterEach(clearStage);

/** Takes so much of the nth request after OPEN, everything where there is no number. */
function accepting(...amounts: readonly (number | string | undefined)[]) {
  let next = -1;
  return afterOpen(() => {
    next += 1;
    const amount = amounts[next];
    return amount === undefined ? nothing : reply([], { 'Content-Bytes-Accepted': String(amount) });
  });
}

function replayed({ headers }: BackendRequest): unknown {
  return headers['content-bytes-replayed'];
}

describe('partial acceptance (GRIP 2.8)', () => {
  it('offers the rest again, first, with the number of bytes that were offered before', async () => {
    const { backend, open } = await setStage({ answer: accepting(6) });
    const client = await open();
    client.send('aa;bb;c');
    await backend.until(() => backend.requests.length === 2);
    await pause(30);
    assert.equal(backend.requests.length, 2); // What is left starts no request by itself.
    client.send('c;');
    await backend.until(() => backend.requests.length === 3);
    assert.equal(backend.requests[2]?.body.toString(), 'TEXT 1\r\nc\r\nTEXT 2\r\nc;\r\n');
    assert.equal(backend.requests[2] && replayed(backend.requests[2]), '1');
  });

  it('trims a message at its front and keeps its type', async () => {
    const { backend, openRaw } = await setStage({ answer: accepting(2) });
    const client = await openRaw();
    client.send(clientFrame(opcodes.binary, 'abcd'));
    await backend.until(() => backend.requests.length === 2);
    client.send(clientFrame(opcodes.text, 'e'));
    await backend.until(() => backend.requests.length === 3);
    assert.deepEqual(said(backend.requests[2]?.events ?? []), ['BINARY cd', 'TEXT e']);
  });

  it('says nothing of replayed bytes once all is accepted', async () => {
    const { backend, open } = await setStage({ answer: accepting(1, 3, undefined) });
    const client = await open();
    client.send('ab');
    await backend.until(() => backend.requests.length === 2);
    await pause(20);
    client.send('cd');
    await backend.until(() => backend.requests.length === 3);
    await pause(20);
    client.send('ef');
    await backend.until(() => backend.requests.length === 4);
    assert.deepEqual(backend.requests.map(replayed), [undefined, undefined, '1', undefined]);
    assert.deepEqual(said(backend.requests[3]?.events ?? []), ['TEXT ef']);
  });

  it('removes messages without content at the head of what is left', async () => {
    const held = gate();
    let count = 0;
    const { backend, open } = await setStage({
      answer: afterOpen(async () => {
        count += 1;
        if (count === 1) await held.passed;
        return count === 2 ? reply([], { 'Content-Bytes-Accepted': '2' }) : nothing;
      }),
    });
    const client = await open();
    client.send('0');
    await backend.until(() => backend.requests.length === 2);
    for (const message of ['ab', '', '', 'cd', '']) client.send(message);
    await pause(20);
    held.open();
    await backend.until(() => backend.requests.length === 3);
    await pause(20);
    client.send('x');
    await backend.until(() => backend.requests.length === 4);
    assert.deepEqual(said(backend.requests[3]?.events ?? []), ['TEXT cd', 'TEXT', 'TEXT x']);
    assert.equal(backend.requests[3] && replayed(backend.requests[3]), '2');
  });

  it('takes 0 for nothing', async () => {
    const { backend, open } = await setStage({ answer: accepting(0) });
    const client = await open();
    client.send('ab');
    await backend.until(() => backend.requests.length === 2);
    await pause(20);
    client.send('cd');
    await backend.until(() => backend.requests.length === 3);
    assert.deepEqual(said(backend.requests[2]?.events ?? []), ['TEXT ab', 'TEXT cd']);
    assert.equal(backend.requests[2] && replayed(backend.requests[2]), '2');
  });

  for (const unparsable of ['x', '-1', '1.5', '']) {
    it(`takes ${JSON.stringify(unparsable)} for everything`, async () => {
      const { backend, open } = await setStage({ answer: accepting(unparsable) });
      const client = await open();
      client.send('ab');
      await backend.until(() => backend.requests.length === 2);
      await pause(20);
      client.send('cd');
      await backend.until(() => backend.requests.length === 3);
      assert.deepEqual(said(backend.requests[2]?.events ?? []), ['TEXT cd']);
    });
  }

  it('ends the connection when more is accepted than was offered, without DISCONNECT', async () => {
    const { backend, open } = await setStage({ answer: accepting(3) });
    const client = await open();
    client.send('ab');
    assert.equal((await client.closed()).code, 1011);
    await pause(30);
    assert.equal(backend.requests.length, 2);
  });

  it('offers what is left when told to refresh', async () => {
    const { backend, open, refresh } = await setStage({ answer: accepting(1) });
    const client = await open();
    client.send('ab');
    await backend.until(() => backend.requests.length === 2);
    await pause(20);
    await refresh(String(backend.requests[0]?.headers['connection-id']));
    await backend.until(() => backend.requests.length === 3);
    assert.deepEqual(said(backend.requests[2]?.events ?? []), ['TEXT b']);
  });

  it('offers what is left together with CLOSE', async () => {
    const { backend, openRaw } = await setStage({ answer: accepting(1) });
    const client = await openRaw();
    client.send(clientFrame(opcodes.text, 'ab'));
    await backend.until(() => backend.requests.length === 2);
    await pause(20);
    client.send(closeFrame(4000, 'x'));
    await backend.until(() => backend.requests.length === 3);
    assert.deepEqual(said(backend.requests[2]?.events ?? []), ['TEXT b', 'CLOSE 4000 x']);
    assert.equal(backend.requests[2] && replayed(backend.requests[2]), '1');
  });

  it('sends CLOSE no more by itself when the message content beside it was not accepted', async () => {
    const held = gate();
    let count = 0;
    const { backend, openRaw } = await setStage({
      answer: afterOpen(async () => {
        count += 1;
        if (count === 1) await held.passed;
        return count === 2 ? reply([], { 'Content-Bytes-Accepted': '1' }) : nothing;
      }),
    });
    const client = await openRaw();
    client.send(clientFrame(opcodes.text, '0'));
    await backend.until(() => backend.requests.length === 2);
    client.send(Buffer.concat([clientFrame(opcodes.text, 'ab'), closeFrame(1000)]));
    await pause(20);
    held.open();
    await backend.until(() => backend.requests.length === 3);
    await pause(50);
    assert.equal(backend.requests.length, 3);
    assert.equal(client.ended, false);
    client.destroy();
    await backend.until(() => backend.requests.length === 4);
    assert.deepEqual(said(backend.requests[3]?.events ?? []), ['DISCONNECT']);
  });

  it('ends the connection when all messages but not the payload of CLOSE are accepted', async () => {
    const held = gate();
    let count = 0;
    const { backend, open } = await setStage({
      answer: afterOpen(async () => {
        count += 1;
        if (count === 1) await held.passed;
        return count === 2 ? reply([], { 'Content-Bytes-Accepted': '2' }) : nothing;
      }),
    });
    const client = await open();
    client.send('0');
    await backend.until(() => backend.requests.length === 2);
    client.send('ab');
    client.socket.close(4000, 'bye');
    await pause(20);
    held.open();
    assert.equal((await client.closed()).code, 1011);
    await pause(30);
    assert.equal(backend.requests.length, 3);
  });

  it('ends the connection when nothing is accepted while more waits than fits', async () => {
    const held = gate();
    let count = 0;
    const { backend, open } = await setStage({
      route: { limits: { queueBytes: 100 } },
      answer: afterOpen(async () => {
        count += 1;
        if (count === 1) await held.passed;
        return count === 2 ? reply([], { 'Content-Bytes-Accepted': '0' }) : nothing;
      }),
    });
    const client = await open();
    client.send('0');
    await backend.until(() => backend.requests.length === 2);
    for (let i = 0; i < 4; i += 1) client.send('x'.repeat(60));
    await pause(30);
    held.open();
    await backend.until(() => backend.requests.length === 3);
    assert.equal(backend.requests[2]?.events.length, 2);
    assert.equal((await client.closed()).code, 1011);
  });

  it('goes on when a part of a large message is accepted while another large one comes in', async () => {
    const held = gate();
    let count = 0;
    const { backend, open } = await setStage({
      route: { limits: { queueBytes: 100 } },
      answer: afterOpen(async () => {
        count += 1;
        if (count === 1) await held.passed;
        return count === 1 ? reply([], { 'Content-Bytes-Accepted': '10' }) : nothing;
      }),
    });
    const client = await open();
    client.send('a'.repeat(90));
    await backend.until(() => backend.requests.length === 2);
    client.send('b'.repeat(90));
    await pause(30);
    held.open();
    await backend.until(() => backend.requests.length === 3);
    assert.deepEqual(
      backend.requests[2]?.events.map((event) => (isMessage(event) ? event.data.length : 0)),
      [80, 90],
    );
    assert.equal(client.closing, undefined);
  });

  it('conserves every byte and its order, however little a backend accepts at a time', async () => {
    let taken = '';
    const { backend, open } = await setStage({
      answer: afterOpen(({ events }) => {
        const content = events.map((event) => (isMessage(event) ? event.data.toString() : '')).join('');
        const amount = Math.min(content.length, Math.ceil(Math.random() * 5));
        taken += content.slice(0, amount);
        return reply([], { 'Content-Bytes-Accepted': String(amount) });
      }),
    });
    const client = await open();
    let sent = '';
    for (let i = 0; i < 30; i += 1) {
      const message = `<${i}>`;
      sent += message;
      client.send(message);
      await pause(3);
    }
    while (taken.length < sent.length) {
      const before = backend.requests.length;
      client.send('.');
      sent += '.';
      await backend.until(() => backend.requests.length > before);
      await pause(3);
    }
    assert.equal(taken, sent.slice(0, taken.length));
  });
});
