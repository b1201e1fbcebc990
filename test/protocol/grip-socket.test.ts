/** GRIP 3: instructions inside a WebSocket. */
import assert from 'node:assert/strict';
import type { Message } from '../../gateway/core/event.ts';
import { binary, reply, text } from '../support/backend.ts';
import { opcodes } from '../support/raw-socket.ts';
import {
  accepted,
  acceptedWithGrip,
  afterOpen,
  clearStage,
  eventually,
  nothing,
  onClear,
  pause,
  said,
  setStage,
} from './stage.ts';

afterEach(clearStage);

function control(type: string, members: object = {}): Message {
  return text(`c:${JSON.stringify({ type, ...members })}`);
}

const subscribe = (channel: string, filters?: readonly string[]): Message => control('subscribe', { channel, filters });

/** Each message of the client is answered with what stands here under its text. */
function answering(table: Readonly<Record<string, readonly Message[]>>, open = acceptedWithGrip()) {
  return afterOpen(
    ({ events }) => reply(events.flatMap((event) => table[event.kind === 'text' ? event.data.toString() : ''] ?? [])),
    open,
  );
}

describe('switching GRIP on (GRIP 3.1)', () => {
  it('is done by the reply to OPEN alone', async () => {
    const { open } = await setStage({
      answer: afterOpen(() => reply([text('c:{}'), text('plain')], { 'Sec-WebSocket-Extensions': 'grip' })),
    });
    const client = await open();
    client.send('x');
    assert.equal(await client.nextText(), 'c:{}');
    assert.equal(await client.nextText(), 'plain');
  });

  it('never happens on a route without GRIP', async () => {
    const { open } = await setStage({ answer: () => acceptedWithGrip([subscribe('a')]), route: { grip: false } });
    assert.equal(await (await open()).nextText(), 'c:{"type":"subscribe","channel":"a"}');
  });

  for (const [extension, prefix] of [
    ['grip', 'm:'],
    ['grip; message-prefix="m:"', 'm:'],
    ['grip; message-prefix=""', ''],
    ['grip; message-prefix="to client: "', 'to client: '],
    ['grip;message-prefix=x', 'x'],
    ['permessage-deflate, grip; message-prefix="p"', 'p'],
    ['GRIP', 'm:'],
  ] as const) {
    it(`reads ${extension}`, async () => {
      const { open } = await setStage({
        answer: () => accepted({ 'Sec-WebSocket-Extensions': extension }, [text(`${prefix}hello`)]),
      });
      const client = await open();
      assert.equal(await client.nextText(), 'hello');
      assert.equal(client.headers['sec-websocket-extensions'], undefined);
    });
  }

  it('is not done by another extension', async () => {
    const { open } = await setStage({ answer: () => accepted({ 'Sec-WebSocket-Extensions': 'gripping' }, [text('m:hello')]) });
    assert.equal(await (await open()).nextText(), 'm:hello');
  });
});

describe('messages of the backend (GRIP 3.2)', () => {
  it('reach the client without their prefix, text and binary alike; others are dropped', async () => {
    const { open } = await setStage({
      answer: () =>
        acceptedWithGrip([
          text('m:one'),
          text('dropped'),
          binary(Buffer.from('m:two')),
          binary(Buffer.from('c:{"type":"detach"}')),
          text('m:'),
          text('m:c:three'),
        ]),
    });
    const client = await open();
    assert.equal(await client.nextText(), 'one');
    assert.deepEqual(await client.next(), { data: Buffer.from('two'), binary: true });
    assert.equal(await client.nextText(), '');
    assert.equal(await client.nextText(), 'c:three');
    client.send('not detached');
    await pause(20);
  });

  it('are control messages with c: even where the prefix is empty', async () => {
    const { open, say } = await setStage({
      answer: () => accepted({ 'Sec-WebSocket-Extensions': 'grip; message-prefix=""' }, [subscribe('a'), text('plain')]),
    });
    const client = await open();
    assert.equal(await client.nextText(), 'plain');
    await say('a', 'published');
    assert.equal(await client.nextText(), 'published');
  });

  it('go out as they are when they are ping or pong', async () => {
    const ping: Message = { kind: 'ping', data: Buffer.from('c:x') };
    const { openRaw } = await setStage({ answer: () => acceptedWithGrip([ping, { ...ping, kind: 'pong' }]) });
    const client = await openRaw();
    for (const opcode of [opcodes.ping, opcodes.pong]) {
      const frame = await client.takeFrame();
      assert.deepEqual([frame.opcode, frame.payload.toString()], [opcode, 'c:x']);
    }
  });

  it('are dropped whole when they are large and have no prefix', async () => {
    const { open } = await setStage({ answer: () => acceptedWithGrip([text(`${'x'.repeat(20_000)}m:tail`), text('m:end')]) });
    assert.equal(await (await open()).nextText(), 'end');
  });

  it('need no prefix from the client', async () => {
    const { backend, open } = await setStage({ answer: afterOpen(() => nothing, acceptedWithGrip()) });
    const client = await open();
    client.send('c:{"type":"detach"}');
    await backend.until(() => backend.requests.length === 2);
    assert.deepEqual(said(backend.events()), ['OPEN', 'TEXT c:{"type":"detach"}']);
  });

  it('may close the connection', async () => {
    const { open } = await setStage({
      answer: afterOpen(() => reply([{ kind: 'close', code: 4000, reason: 'x' }]), acceptedWithGrip()),
    });
    const client = await open();
    client.send('x');
    assert.deepEqual(await client.closed(), { code: 4000, reason: 'x' });
  });
});

describe('subscribe and unsubscribe (GRIP 3.3)', () => {
  it('join and leave a channel', async () => {
    const { open, say, members } = await setStage({
      answer: answering({
        in: [subscribe('a'), text('m:in')],
        out: [control('unsubscribe', { channel: 'a' }), control('unsubscribe', { channel: 'unknown' }), text('m:out')],
      }),
    });
    const client = await open();
    await say('a', 'too early');
    client.send('in');
    assert.equal(await client.nextText(), 'in');
    await say('a', 'hello');
    assert.equal(await client.nextText(), 'hello');
    client.send('out');
    assert.equal(await client.nextText(), 'out');
    assert.equal(await members('a'), 0);
    await say('a', 'too late');
    await pause(30);
    client.send('out');
    assert.equal(await client.nextText(), 'out');
  });

  it('deliver once to a client that subscribed twice, with the last filters', async () => {
    const { open, publish } = await setStage({
      answer: () =>
        acceptedWithGrip([
          control('set-meta', { name: 'user', value: 'me' }),
          subscribe('a', ['skip-self']),
          subscribe('a'),
          text('m:ok'),
        ]),
    });
    const client = await open();
    assert.equal(await client.nextText(), 'ok');
    await publish('a', { content: 'mine' }, { meta: { sender: 'me' } });
    await publish('a', { content: 'end' });
    assert.equal(await client.nextText(), 'mine');
    assert.equal(await client.nextText(), 'end');
  });

  it('ignore what is beyond 20 channels', async () => {
    const names = Array.from({ length: 21 }, (_, i) => `c${i}`);
    const { open, say, members } = await setStage({
      answer: () => acceptedWithGrip([...names.map((name) => subscribe(name)), subscribe('c0'), text('m:ok')]),
    });
    const client = await open();
    assert.equal(await client.nextText(), 'ok');
    assert.equal(await members('c19'), 1);
    assert.equal(await members('c20'), 0);
    await say('c20', 'not this');
    await say('c0', 'this');
    assert.equal(await client.nextText(), 'this');
  });

  it('close the connection with 1011 for more than five filters', async () => {
    const { open } = await setStage({
      answer: answering({ five: [subscribe('a', Array(5).fill('x')), text('m:ok')], six: [subscribe('b', Array(6).fill('x'))] }),
    });
    const client = await open();
    client.send('five');
    assert.equal(await client.nextText(), 'ok');
    client.send('six');
    assert.equal((await client.closed()).code, 1011);
  });

  it('put the prefix of the route before the name', async () => {
    const { open, say } = await setStage({
      answer: () => acceptedWithGrip([subscribe('a'), text('m:ok')]),
      route: { channelPrefix: 'chat-' },
    });
    const client = await open();
    assert.equal(await client.nextText(), 'ok');
    await say('a', 'not this');
    await say('chat-a', 'this');
    assert.equal(await client.nextText(), 'this');
  });

  it('take effect in the order they stand in', async () => {
    const { open, members } = await setStage({
      answer: () => acceptedWithGrip([subscribe('a'), control('unsubscribe', { channel: 'a' }), subscribe('b'), text('m:ok')]),
    });
    assert.equal(await (await open()).nextText(), 'ok');
    assert.deepEqual([await members('a'), await members('b')], [0, 1]);
  });

  for (const [what, message] of [
    ['no JSON', text('c:hello')],
    ['no object', text('c:["subscribe"]')],
    ['null', text('c:null')],
    ['nothing', text('c:')],
    ['an unknown type', control('hold')],
    ['a type that is no string', text('c:{"type":5}')],
    ['no channel', control('subscribe')],
    ['an empty channel', subscribe('')],
    ['a channel that is no string', text('c:{"type":"subscribe","channel":7}')],
    ['a channel with a control character', subscribe('a\nb')],
    ['filters that are no list', text('c:{"type":"subscribe","channel":"a","filters":"skip-self"}')],
    ['filters that are no strings', text('c:{"type":"subscribe","channel":"a","filters":[1]}')],
    ['set-meta without a name', control('set-meta', { value: 'x' })],
    ['set-meta with a number', control('set-meta', { name: 'user', value: 5 })],
    ['a keep-alive with a bad timeout', control('keep-alive', { content: 'x', timeout: -1 })],
    ['a keep-alive with a bad type', control('keep-alive', { content: 'x', 'message-type': 'close' })],
    ['send-delayed with a timeout that is no number', control('send-delayed', { content: 'x', timeout: '1' })],
    ['session', control('session', { id: 'x' })],
    ['more than can be read', text(`c:{"type":"subscribe","channel":"a","x":"${'y'.repeat(66_000)}"}`)],
  ] as const) {
    it(`ignore ${what}, without a word`, async () => {
      const { open, members } = await setStage({ answer: () => acceptedWithGrip([message, text('m:ok')]) });
      const client = await open();
      assert.equal(await client.nextText(), 'ok');
      assert.equal(await members('a'), 0);
      assert.equal(client.closing, undefined);
    });
  }
});

describe('keep-alive, send-delayed and flush-delayed (GRIP 3.3)', () => {
  it('send a frame after silence, and again', async () => {
    const { open } = await setStage({ answer: () => acceptedWithGrip([control('keep-alive', { content: 'tick', timeout: 1 })]) });
    const client = await open();
    const start = performance.now();
    assert.equal(await client.nextText(), 'tick');
    assert.ok(performance.now() - start < 1100);
    assert.equal(await client.nextText(), 'tick');
  });

  it('wait anew in idle mode with every frame, and do not in interval mode', async () => {
    const keepAlive = (mode: string) => control('keep-alive', { content: 'tick', timeout: 2, mode });
    const { open, say } = await setStage({ answer: ({ path }) => acceptedWithGrip([keepAlive(path.slice(1)), subscribe('a')]) });
    const [idle, interval] = [await open('/idle'), await open('/interval')];
    const talking = setInterval(() => void say('a', 'x').catch(() => undefined), 300);
    onClear(() => clearInterval(talking));
    const heard: string[] = [];
    interval.socket.on('message', (data: Buffer) => heard.push(data.toString()));
    await eventually(() => heard.includes('tick'), 3500);
    clearInterval(talking);
    assert.equal(await idle.nextText(), 'x');
    let message = 'x';
    for (let i = 0; message === 'x' && i < 30; i += 1) message = await idle.nextText(3200);
    assert.equal(message, 'tick');
  });

  it('send keep-alives as ping or binary, too, and stop when told', async () => {
    const { openRaw } = await setStage({
      answer: answering(
        { stop: [control('keep-alive'), text('m:stopped')] },
        acceptedWithGrip([control('keep-alive', { 'content-bin': 'AAEC', 'message-type': 'ping', timeout: 1 })]),
      ),
    });
    const client = await openRaw();
    const frame = await client.takeFrame();
    assert.deepEqual([frame.opcode, frame.payload], [opcodes.ping, Buffer.from([0, 1, 2])]);
  });

  it('send a delayed message once, after its time', async () => {
    const { open } = await setStage({
      answer: () => acceptedWithGrip([control('send-delayed', { content: 'later' }), text('m:now')]),
    });
    const client = await open();
    assert.equal(await client.nextText(), 'now');
    const start = performance.now();
    assert.equal(await client.nextText(), 'later');
    assert.ok(performance.now() - start > 800);
    await assert.rejects(client.next(200));
  });

  it('send a delayed message at once when another comes, or when flushed', async () => {
    const { open } = await setStage({
      answer: answering({
        two: [
          control('send-delayed', { content: 'first', timeout: 60 }),
          control('send-delayed', { content: 'second', timeout: 60 }),
          text('m:end'),
        ],
        flush: [text('m:before'), control('flush-delayed'), control('flush-delayed'), text('m:after')],
      }),
    });
    const client = await open();
    client.send('two');
    assert.deepEqual([await client.nextText(), await client.nextText()], ['first', 'end']);
    client.send('flush');
    assert.deepEqual([await client.nextText(), await client.nextText(), await client.nextText()], ['before', 'second', 'after']);
  });

  it('ignore what no frame can carry, and stop without content', async () => {
    const unsendable = [
      { content: 'x'.repeat(126), 'message-type': 'ping' },
      { 'content-bin': Buffer.alloc(200).toString('base64'), 'message-type': 'pong' },
      { 'content-bin': '//79' },
    ];
    const { open } = await setStage({
      answer: ({ path }) => {
        const members = unsendable[Number(path.slice(1))];
        if (members === undefined)
          return acceptedWithGrip([control('keep-alive', { content: 'tick', timeout: 1 }), control('keep-alive'), text('m:ok')]);
        return acceptedWithGrip([
          control('send-delayed', { ...members, timeout: 0 }),
          control('keep-alive', { ...members, timeout: 1 }),
          text('m:ok'),
        ]);
      },
    });
    const clients = [await open('/0'), await open('/1'), await open('/2'), await open('/stop')];
    for (const client of clients) assert.equal(await client.nextText(), 'ok');
    await Promise.all(clients.map((client) => assert.rejects(client.next(1100), /Waited 1100 ms/)));
  });
});

describe('channels of the route (GRIP 3.4)', () => {
  it('are joined by everybody, without the extension and without the prefix, and cannot be left', async () => {
    const { open, say } = await setStage({
      answer: ({ path }) =>
        path === '/plain' ? accepted() : acceptedWithGrip([control('unsubscribe', { channel: 'all' }), text('m:ok')]),
      target: { channels: ['all', 'p-x'] },
      route: { channelPrefix: 'p-' },
    });
    const [plain, grip] = [await open('/plain'), await open('/grip')];
    assert.equal(await grip.nextText(), 'ok');
    await say('all', 'hello');
    assert.equal(await plain.nextText(), 'hello');
    assert.equal(await grip.nextText(), 'hello');
  });

  it('are joined before the messages of the opening reply are sent', async () => {
    const { open, say } = await setStage({ answer: () => accepted({}, [text('first')]), target: { channels: ['all'] } });
    const client = await open();
    assert.equal(await client.nextText(), 'first');
    await say('all', 'second');
    assert.equal(await client.nextText(), 'second');
  });
});
