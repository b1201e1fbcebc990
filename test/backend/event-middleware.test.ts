import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import express from 'express';
import { webSocketEvents, type EventHandlers, type EventOptions } from '../../gateway/backend/express.ts';
import type { ClientEvent } from '../../gateway/core/event.ts';
import { encodeEvents } from '../../gateway/wire/websocket-events.ts';
import { listen, sendEvents, stopServers, text, type RequestTerms } from './event-request.ts';

const open: ClientEvent = { kind: 'open' };
const control = (message: object): string => `text c:${JSON.stringify(message)}`;

/** One request to a bare `node:http` server with these handlers. */
async function exchange(
  handlers: EventHandlers,
  events: readonly ClientEvent[],
  terms: RequestTerms & { options?: EventOptions } = {},
) {
  const origin = await listen(webSocketEvents(handlers, terms.options));
  return sendEvents(`${origin}/chat`, events, terms);
}

afterEach(stopServers);

describe('webSocketEvents: the handshake', () => {
  it('accepts by default, with GRIP on and an exact type and length', async () => {
    const answer = await exchange({}, [open]);
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.events, ['open']);
    assert.equal(answer.headers.get('content-type'), 'application/websocket-events');
    assert.equal(answer.headers.get('sec-websocket-extensions'), 'grip; message-prefix="m:"');
    assert.equal(answer.headers.get('content-length'), '6');
  });

  it('puts OPEN before what the handler sent', async () => {
    const answer = await exchange(
      {
        open(socket) {
          socket.send('welcome');
          socket.accept({ subprotocol: 'chat.v1', headers: { 'Set-Cookie': ['a=1', 'b=2'] } });
        },
      },
      [open],
    );
    assert.deepEqual(answer.events, ['open', 'text m:welcome']);
    assert.equal(answer.headers.get('sec-websocket-protocol'), 'chat.v1');
    assert.deepEqual(answer.headers.getSetCookie(), ['a=1', 'b=2']);
  });

  it('does not let headers of accept replace the protocol’s own', async () => {
    const answer = await exchange(
      { open: (socket) => socket.accept({ headers: { 'content-type': 'text/html', 'content-length': '1' } }) },
      [open],
    );
    assert.deepEqual(answer.events, ['open']);
  });

  it('refuses with status, body and headers', async () => {
    const answer = await exchange({ open: (socket) => socket.refuse(401, 'who?', { 'WWW-Authenticate': 'Bearer' }) }, [open]);
    assert.deepEqual([answer.status, answer.text], [401, 'who?']);
    assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
    assert.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8');
    assert.equal(answer.headers.get('sec-websocket-extensions'), null);
  });

  it('can refuse with a type of its own and with a redirect', async () => {
    const answer = await exchange(
      { open: (socket) => socket.refuse(302, '{}', { 'content-type': 'application/json', location: '/login' }) },
      [open],
    );
    assert.equal(answer.status, 302);
    assert.equal(answer.headers.get('content-type'), 'application/json');
  });

  for (const status of [200, 101, 600, 404.5]) {
    it(`does not refuse with ${status}`, async () => {
      const answer = await exchange({ open: (socket) => socket.refuse(status) }, [open], { options: { onError: () => {} } });
      assert.equal(answer.status, 500);
    });
  }
});

describe('webSocketEvents: events', () => {
  it('hands every kind of event to its handler, in order, one at a time', async () => {
    const seen: string[] = [];
    let running = 0;
    const note = async (entry: string): Promise<void> => {
      running += 1;
      assert.equal(running, 1);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      seen.push(entry);
    };
    await exchange(
      {
        text: (_, value) => note(`text ${value}`),
        binary: (_, bytes) => note(`binary ${bytes.toString('hex')}`),
        ping: (_, bytes) => note(`ping ${bytes.toString()}`),
        pong: (_, bytes) => note(`pong ${bytes.toString()}`),
        close: (_, code, reason) => note(`close ${code} ${reason}`),
      },
      [
        text('hé'),
        { kind: 'binary', data: Buffer.from([0, 255]) },
        { kind: 'ping', data: Buffer.from('p') },
        { kind: 'pong', data: Buffer.alloc(0) },
        text(''),
        { kind: 'close', code: 4000, reason: 'bye' },
      ],
    );
    assert.deepEqual(seen, ['text hé', 'binary 00ff', 'ping p', 'pong ', 'text ', 'close 4000 bye']);
  });

  it('tells of a lost client and of a request without events', async () => {
    const seen: string[] = [];
    const handlers: EventHandlers = {
      disconnect: ({ id }) => void seen.push(`lost ${id}`),
      asked: ({ id }) => void seen.push(`asked ${id}`),
    };
    const origin = await listen(webSocketEvents(handlers));
    await sendEvents(origin, [{ kind: 'disconnect' }], { headers: { 'connection-id': 'a' } });
    const answer = await sendEvents(origin, [], { headers: { 'connection-id': 'b' } });
    assert.deepEqual(seen, ['lost a', 'asked b']);
    assert.deepEqual([answer.status, answer.text], [200, '']);
  });

  it('answers a ping by itself, with its content, in the order of the events', async () => {
    const answer = await exchange({ text: (socket, value) => socket.send(value) }, [
      text('a'),
      { kind: 'ping', data: Buffer.from('x') },
      text('b'),
    ]);
    assert.deepEqual(answer.events, ['text m:a', 'pong x', 'text m:b']);
  });

  it('leaves the pong to a ping handler', async () => {
    assert.deepEqual((await exchange({ ping: () => {} }, [{ kind: 'ping', data: Buffer.alloc(0) }])).events, []);
    assert.deepEqual((await exchange({ ping: (socket) => socket.pong('z') }, [{ kind: 'ping', data: Buffer.alloc(0) }])).events, [
      'pong z',
    ]);
  });

  it('answers a close with the same close', async () => {
    assert.deepEqual((await exchange({}, [{ kind: 'close', code: 4321, reason: 'ciao' }])).events, ['close 4321 ciao']);
    assert.deepEqual((await exchange({}, [{ kind: 'close', reason: '' }])).events, ['close none']);
    assert.deepEqual((await exchange({ close: () => {} }, [{ kind: 'close', code: 1001, reason: '' }])).events, ['close 1001']);
  });

  it('does not send back a code that must not be sent', async () => {
    assert.deepEqual((await exchange({}, [{ kind: 'close', code: 1006, reason: 'lost' }])).events, ['close none']);
  });

  it('lets a close handler choose another close', async () => {
    const answer = await exchange({ close: (socket) => socket.close(4001, 'no, I') }, [
      { kind: 'close', code: 1000, reason: '' },
    ]);
    assert.deepEqual(answer.events, ['close 4001 no, I']);
  });

  it('sends nothing after its own close', async () => {
    const answer = await exchange({ text: (socket) => (socket.close(), socket.send('too late')) }, [text('a'), text('b')]);
    assert.deepEqual(answer.events, ['close 1000']);
  });
});

describe('webSocketEvents: messages with types', () => {
  interface Chat {
    readonly client: { readonly type: 'say'; readonly text: string };
    readonly backend: { readonly type: 'said'; readonly text: string };
  }
  const chat: EventHandlers<string, Chat> = {
    message(socket, { text: said }) {
      socket.send({ type: 'said', text: said });
      socket.sendDelayed({ type: 'said', text: 'later' });
      socket.keepAlive({ type: 'said', text: 'still here' });
    },
  };
  const sent = (handlers: EventHandlers<string, Chat>, message: string) =>
    listen(webSocketEvents(handlers)).then((origin) => sendEvents(`${origin}/chat`, [text(message)]));

  it('arrive as values and leave as JSON', async () => {
    const { events } = await sent(chat, '{"type":"say","text":"hello"}');
    assert.deepEqual(events, [
      'text m:{"type":"said","text":"hello"}',
      control({ type: 'send-delayed', content: '{"type":"said","text":"later"}', timeout: 1 }),
      control({ type: 'keep-alive', content: '{"type":"said","text":"still here"}' }),
    ]);
  });

  it('go to the text handler if they are no JSON, and fail without one', async () => {
    const texts: string[] = [];
    const handlers = { ...chat, text: (_socket: unknown, said: string) => void texts.push(said) };
    assert.deepEqual((await sent(handlers, 'hello')).events, []);
    assert.deepEqual(texts, ['hello']);
    const origin = await listen(webSocketEvents(chat, { onError: () => undefined }));
    assert.equal((await sendEvents(`${origin}/chat`, [text('hello')])).status, 500);
  });

  it('cannot be what JSON cannot say', async () => {
    const errors: unknown[] = [];
    const handlers: EventHandlers<string, { client: unknown; backend: unknown }> = { text: (socket) => socket.send(undefined) };
    const origin = await listen(webSocketEvents(handlers, { onError: (error) => errors.push(error) }));
    assert.equal((await sendEvents(`${origin}/chat`, [text('hello')])).status, 500);
    assert.match(String(errors[0]), /A message cannot be of the type undefined/);
  });
});

describe('webSocketEvents: what a socket can ask for', () => {
  it('writes control messages in the order of the calls', async () => {
    const answer = await exchange(
      {
        text(socket) {
          socket.subscribe('room', { filters: ['skip-self'] });
          socket.setFilterMeta('user', '7');
          socket.setFilterMeta('user', undefined);
          socket.unsubscribe('room');
          socket.keepAlive('tick', { timeoutSeconds: 20, mode: 'interval' });
          socket.keepAlive(Buffer.from([1]));
          socket.keepAlive(undefined);
          socket.sendDelayed('later', { timeoutSeconds: 3 });
          socket.flushDelayed();
          socket.send(new Uint8Array([0x68, 0x69]));
          socket.ping('?');
          socket.detach();
        },
      },
      [text('go')],
    );
    assert.deepEqual(answer.events, [
      control({ type: 'subscribe', channel: 'room', filters: ['skip-self'] }),
      control({ type: 'set-meta', name: 'user', value: '7' }),
      control({ type: 'set-meta', name: 'user' }),
      control({ type: 'unsubscribe', channel: 'room' }),
      control({ type: 'keep-alive', content: 'tick', timeout: 20, mode: 'interval' }),
      control({ type: 'keep-alive', 'content-bin': 'AQ==', 'message-type': 'binary' }),
      control({ type: 'keep-alive' }),
      control({ type: 'send-delayed', content: 'later', timeout: 3 }),
      control({ type: 'flush-delayed' }),
      'binary m:hi',
      'ping ?',
      control({ type: 'detach' }),
    ]);
  });

  it('keeps text that looks like a control message apart', async () => {
    assert.deepEqual((await exchange({ text: (socket, value) => socket.send(value) }, [text('c:{"type":"detach"}')])).events, [
      'text m:c:{"type":"detach"}',
    ]);
  });

  it('asks for requests in silence, and stops that', async () => {
    assert.equal(
      (await exchange({ text: (socket) => socket.askEvery(60) }, [text('a')])).headers.get('keep-alive-interval'),
      '60',
    );
    assert.equal((await exchange({ text: (socket) => socket.askEvery(0) }, [text('a')])).headers.get('keep-alive-interval'), '0');
    assert.equal((await exchange({}, [text('a')])).headers.get('keep-alive-interval'), null);
  });

  it('writes only changes of meta, a deletion as an empty value', async () => {
    const answer = await exchange(
      {
        text(socket) {
          assert.equal(socket.meta.get('User'), '7');
          assert.equal(socket.meta.get('unknown'), undefined);
          socket.meta.set('Room', 'a b');
          socket.meta.set('same', 'kept');
          socket.meta.delete('user');
          socket.meta.set('gone', '');
        },
      },
      [text('a')],
      { headers: { 'meta-user': '7', 'Meta-Same': 'kept', 'meta-gone': 'x', 'meta-rest': 'y' } },
    );
    const changes = [...answer.headers].filter(([name]) => name.startsWith('set-meta-'));
    assert.deepEqual(changes, [
      ['set-meta-gone', ''],
      ['set-meta-room', 'a b'],
      ['set-meta-user', ''],
    ]);
  });
});

describe('webSocketEvents: failures', () => {
  const failing: [string, EventHandlers][] = [
    [
      'a handler throws',
      {
        text: () => {
          throw new Error('broken');
        },
      },
    ],
    ['a handler rejects', { text: () => Promise.reject(new Error('broken')) }],
    ['a meta value cannot stand in a header', { text: (socket) => socket.meta.set('a', 'x\r\nSet-Cookie: b=1') }],
    ['a meta name cannot stand in a header', { text: (socket) => socket.meta.set('a b', 'x') }],
    ['a close code must not be sent', { text: (socket) => socket.close(1005) }],
    ['an interval is no whole number', { text: (socket) => socket.askEvery(1.5) }],
    ['a handler refuses after the handshake', { text: (socket) => socket.refuse(403) }],
    [
      'the answer is too large',
      {
        text: (socket) => {
          for (let i = 0; i < 11; i += 1) socket.send('x'.repeat(100_000));
        },
      },
    ],
  ];
  for (const [name, handlers] of failing) {
    it(`answers 500 and nothing of the events if ${name}`, async () => {
      const errors: unknown[] = [];
      const options: EventOptions = { onError: (error) => void errors.push(error) };
      const first: EventHandlers = { ...handlers, ping: (socket) => (socket.send('half'), socket.meta.set('half', '1')) };
      const answer = await exchange(first, [{ kind: 'ping', data: Buffer.alloc(0) }, text('a')], { options });
      assert.deepEqual([answer.status, answer.text], [500, 'The handler failed.\n']);
      assert.equal(answer.headers.get('set-meta-half'), null);
      assert.equal(errors.length, 1);
    });
  }

  it('sends nothing of accept if one of its headers is not valid', async () => {
    const handlers: EventHandlers = { open: (socket) => socket.accept({ headers: { 'X-Good': '1', 'X-Bad': 'a\nb' } }) };
    const answer = await exchange(handlers, [open], { options: { onError: () => {} } });
    assert.equal(answer.status, 500);
    assert.equal(answer.headers.get('x-good'), null);
  });

  const bad: [string, RequestTerms][] = [
    ['is malformed', { body: 'TEXT 5\r\nhi' }],
    ['has a bare line feed', { body: 'OPEN\n' }],
    ['opens in the middle', { body: 'TEXT 1\r\na\r\nOPEN\r\n' }],
    ['is larger than a megabyte', { body: Buffer.alloc(1_000_001) }],
  ];
  for (const [name, terms] of bad) {
    it(`answers 400 if the body ${name}`, async () => {
      const answer = await exchange({ text: () => assert.fail('no handler is called') }, [], terms);
      assert.equal(answer.status, 400);
    });
  }

  it('answers 400 without a Connection-Id', async () => {
    assert.equal((await exchange({}, [open], { headers: { 'connection-id': undefined } })).status, 400);
  });

  it('answers 400 to a body of unknown length as soon as it is too large', async () => {
    const origin = new URL(await listen(webSocketEvents({})));
    const socket = connect(Number(origin.port), '127.0.0.1');
    socket.on('error', () => {}); // The server does not read to the end.
    socket.write(
      'POST / HTTP/1.1\r\nHost: a\r\nConnection-Id: 1\r\nContent-Type: application/websocket-events\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    const chunk = `${(100_000).toString(16)}\r\n${'x'.repeat(100_000)}\r\n`;
    for (let i = 0; i < 11; i += 1) socket.write(chunk);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    assert.match(answer.toString(), /^HTTP\/1\.1 400 /);
    assert.match(answer.toString(), /Connection: close/i);
  });

  it('survives a client that leaves in the middle of a body', async () => {
    const origin = new URL(await listen(webSocketEvents({})));
    const socket = connect(Number(origin.port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write(
      'POST / HTTP/1.1\r\nHost: a\r\nConnection-Id: 1\r\nContent-Type: application/websocket-events\r\nContent-Length: 50\r\n\r\nTEXT',
    );
    socket.destroy();
    await once(socket, 'close');
    assert.equal((await sendEvents(origin.href, [open])).status, 200);
  });
});

describe('webSocketEvents: other requests', () => {
  it('answers them itself on bare node:http', async () => {
    const origin = await listen(webSocketEvents({}, { path: '/chat' }));
    assert.equal((await sendEvents(`${origin}/other`, [open])).status, 404);
    assert.equal((await sendEvents(`${origin}/chat?room=1`, [open])).status, 200);
    const get = await sendEvents(`${origin}/chat`, [], { method: 'GET' });
    assert.deepEqual([get.status, get.headers.get('allow')], [405, 'POST']);
    assert.equal((await sendEvents(`${origin}/chat`, [], { headers: { 'content-type': 'application/json' } })).status, 415);
    assert.equal(
      (await sendEvents(`${origin}/chat`, [], { headers: { 'content-type': 'application/websocket-events-2' } })).status,
      415,
    );
  });

  it('leaves them to the next handler in Express', async () => {
    const app = express();
    app.use('/chat', webSocketEvents({}), (_, response) => void response.status(418).end());
    const origin = await listen(app);
    assert.equal((await sendEvents(`${origin}/chat`, [], { method: 'GET' })).status, 418);
    assert.equal((await sendEvents(`${origin}/chat`, [], { headers: { 'content-type': 'text/plain' } })).status, 418);
    assert.deepEqual((await sendEvents(`${origin}/chat`, [open])).events, ['open']);
  });

  it('takes a media type with parameters and in any case', async () => {
    assert.equal(
      (await exchange({}, [open], { headers: { 'content-type': 'Application/WebSocket-Events; charset=utf-8' } })).status,
      200,
    );
  });
});

describe('webSocketEvents: behind a body parser', () => {
  const echo: EventHandlers = { binary: (socket, bytes) => socket.send(bytes.toString('hex')) };
  const event: ClientEvent = { kind: 'binary', data: Buffer.from([0, 1, 255]) };
  const behind = async (...parsers: express.RequestHandler[]) => {
    const app = express();
    for (const parser of parsers) app.use(parser);
    app.use(webSocketEvents(echo, { onError: () => {} }));
    return sendEvents(await listen(app), [event]);
  };

  it('takes the bytes of express.raw', async () => {
    assert.deepEqual((await behind(express.raw({ type: '*/*' }))).events, ['text m:0001ff']);
  });

  it('is not disturbed by express.json', async () => {
    assert.deepEqual((await behind(express.json(), express.urlencoded())).events, ['text m:0001ff']);
  });

  it('is not disturbed by an empty object in place of a body', async () => {
    const pretend: express.RequestHandler = (request, _, next) => {
      request.body = {};
      next();
    };
    assert.deepEqual((await behind(pretend)).events, ['text m:0001ff']);
  });

  it('takes text, where it came through whole', async () => {
    const app = express();
    app.use(express.text({ type: '*/*' }), webSocketEvents({ text: (socket, value) => socket.send(value) }));
    assert.deepEqual((await sendEvents(await listen(app), [text('hé')])).events, ['text m:hé']);
  });

  it('answers 500 where a parser kept the bytes to itself', async () => {
    const thief: express.RequestHandler = (request, _, next) => {
      request.resume().once('end', () => {
        request.body = { stolen: true };
        next();
      });
    };
    assert.equal((await behind(thief)).status, 500);
  });

  it('refuses a parsed body that is too large', async () => {
    const app = express();
    app.use(express.raw({ type: '*/*', limit: '2mb' }), webSocketEvents({}));
    const large = encodeEvents([{ kind: 'binary', data: Buffer.alloc(1_000_000) }]);
    assert.equal((await sendEvents(await listen(app), [], { body: large })).status, 400);
  });
});
