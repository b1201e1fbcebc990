/** Chapter 2: WebSocket-over-HTTP. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { WebSocketServer, type WebSocket } from 'ws';
import { clientFrame, fragments, opcodes } from '../support/raw-socket.ts';
import { startBackend, type Answer, type BackendRequest, type Reply } from './backend.ts';
import type { Case, Chapter } from './case.ts';
import type { HttpClient, SocketClient } from './connection.ts';
import { accepting, closing, event, events, grip, controlled } from './replies.ts';
import type { Stage } from './stage.ts';

const failure = 'Error while proxying to origin.\n';

/** The `TEXT`, `BINARY` ... of a request as a list, the content as it is. */
function said(request: BackendRequest | undefined): string[] {
  const list: string[] = [];
  let rest = request?.body ?? '';
  while (rest !== '') {
    const end = rest.indexOf('\r\n');
    const [type = '', length] = rest.slice(0, end).split(' ');
    const size = length === undefined ? 0 : Number.parseInt(length, 16);
    list.push(length === undefined ? type : `${type} ${rest.slice(end + 2, end + 2 + size)}`.trimEnd());
    rest = rest.slice(length === undefined ? end + 2 : end + 4 + size);
  }
  return list;
}

/** Opens a WebSocket whose later requests are answered so. */
async function opened(
  stage: Stage,
  then: Answer | Reply = events(),
  terms?: Parameters<Stage['open']>[1],
): Promise<SocketClient> {
  stage.answer(accepting({}, typeof then === 'function' ? then : () => then));
  return stage.open('', terms);
}

/** What a client gets after it has said something that is answered so. */
async function answerTo(stage: Stage, reply: Reply): Promise<SocketClient> {
  const socket = await opened(stage, reply);
  socket.text('say');
  return socket;
}

/** A reply that waits until it is let go. */
function gate(): { readonly passed: Promise<void>; open: () => void } {
  let open = (): void => {};
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { passed, open: () => open() };
}

/** The first message waits in a request while more is said; gives the gate that lets it go. */
function held(stage: Stage, first: Reply = events(), then: Reply = events()): { open: () => void } {
  const waiting = gate();
  let count = 0;
  stage.answer(
    accepting({}, async () => {
      count += 1;
      if (count > 1) return then;
      await waiting.passed;
      return first;
    }),
  );
  return waiting;
}

const encoding: Case[] = [
  {
    id: '2.1-bytes',
    rule: 'a request has the events of the client with lengths in lower-case hex, binary and UTF-8 as they are',
    run: async (stage) => {
      const socket = await opened(stage);
      socket.text('h\u00e9');
      assert.equal((await stage.request(1)).body, 'TEXT 3\r\nh\xc3\xa9\r\n');
      socket.binary(`\x00\xff${'x'.repeat(29)}`);
      assert.equal((await stage.request(2)).body, `BINARY 1f\r\n\x00\xff${'x'.repeat(29)}\r\n`);
    },
  },
  {
    id: '2.1-fragments',
    rule: 'the fragments of a message are joined: one event',
    run: async (stage) => {
      const socket = await opened(stage);
      socket.raw.send(fragments(opcodes.text, ['one', 'two', 'three']));
      assert.equal((await stage.request(1)).body, 'TEXT b\r\nonetwothree\r\n');
    },
  },
  {
    id: '2.1-empty-from-client',
    rule: 'an empty message of the client is an event without content',
    run: async (stage) => {
      const socket = await opened(stage);
      socket.text('');
      assert.match((await stage.request(1)).body, /^TEXT(\r\n| 0\r\n\r\n)$/);
    },
  },
  {
    id: '2.1-empty-to-client',
    rule: 'a reply may write an empty message with and without a length',
    run: async (stage) => {
      const socket = await answerTo(stage, events(`TEXT\r\nBINARY 0\r\n\r\n${event('TEXT', 'end')}`));
      assert.deepEqual([await socket.next(), await socket.next(), await socket.next()], ['TEXT', 'BINARY', 'TEXT end']);
    },
  },
  {
    id: '2.1-upper-case-length',
    rule: 'a length may be in capitals',
    run: async (stage) => {
      const socket = await answerTo(stage, events('TEXT A\r\n0123456789\r\n'));
      assert.equal(await socket.next(), 'TEXT 0123456789');
    },
  },
  {
    id: '2.1-unknown-type',
    rule: 'an event of unknown type is skipped with its content; types are in capitals',
    run: async (stage) => {
      const socket = await answerTo(stage, events(`${event('FUTURE', 'x')}FLAG\r\n${event('text', 'y')}${event('TEXT', 'z')}`));
      assert.equal(await socket.next(), 'TEXT z');
    },
  },
  ...(
    [
      ['bare-lf', 'TEXT 1\nx\n'],
      ['no-hex', 'TEXT x\r\nx\r\n'],
      ['extension', 'TEXT 1;ext\r\nx\r\n'],
      ['no-end', 'TEXT'],
    ] as const
  ).map(([name, body]): Case => ({
    id: `2.1-malformed-${name}`,
    rule: `a reply of ${JSON.stringify(body)} is malformed: the client is dropped and nothing more is asked`,
    run: async (stage) => {
      const socket = await answerTo(stage, events(body));
      assert.equal(await socket.next(), 'DROPPED');
      await stage.quiet();
      assert.equal(stage.requests.length, 2);
    },
  })),
  {
    id: '2.1-short-content',
    rule: 'content that is cut short by the end of the reply',
    differs: {
      foregate: 'is malformed: the client is dropped',
      pushpin: 'is taken as it is',
      reason: 'a reply cut off on its way must not look like a whole one',
    },
    run: async (stage) => {
      const socket = await answerTo(stage, events('TEXT 5\r\nabc'));
      assert.equal(await socket.next(), stage.pick({ foregate: 'DROPPED', pushpin: 'TEXT abc' }));
    },
  },
  {
    id: '2.1-end-of-content',
    rule: 'other bytes than CRLF after content',
    differs: {
      foregate: 'make the reply malformed: the client is dropped',
      pushpin: 'are skipped without a look',
      reason: 'the length is wrong then, and so is the content',
    },
    run: async (stage) => {
      const socket = await answerTo(stage, events('TEXT 3\r\nabcXX'));
      assert.equal(await socket.next(), stage.pick({ foregate: 'DROPPED', pushpin: 'TEXT abc' }));
    },
  },
  {
    id: '2.1-client-utf-8',
    rule: 'a text of the client that is not UTF-8',
    differs: {
      foregate: 'ends the connection, with 1007 where close frames are on',
      pushpin: 'reaches the backend',
      reason: 'RFC 6455 wants 1007',
    },
    run: async (stage) => {
      const socket = await opened(stage, events(event('TEXT', 'taken')));
      socket.raw.send(clientFrame(opcodes.text, Buffer.from([0xff, 0xfe])));
      assert.match(await socket.next(), stage.pick({ foregate: /^(DROPPED|CLOSE 1007)/, pushpin: /^TEXT taken$/ }));
    },
  },
  {
    id: '2.1-backend-utf-8',
    rule: 'a text of the backend that is not UTF-8',
    differs: {
      foregate: 'ends the connection; it is not sent',
      pushpin: 'reaches the client',
      reason: 'every browser would end the connection over it',
    },
    run: async (stage) => {
      const socket = await answerTo(stage, events(event('TEXT', '\xff\xfe')));
      assert.match(await socket.next(), stage.pick({ foregate: /^(DROPPED|CLOSE 1011)/, pushpin: /^TEXT \xff\xfe$/ }));
    },
  },
  {
    id: '2.1-ping-between-fragments',
    rule: 'a ping between two fragments of a client message',
    differs: {
      foregate: 'is forwarded, then the joined message',
      pushpin: 'ends the connection: dropped, then DISCONNECT',
      reason: 'RFC 6455 allows it',
    },
    run: async (stage) => {
      const socket = await opened(stage);
      socket.raw.send(clientFrame(opcodes.text, 'one', { fin: false }));
      socket.ping('p');
      socket.raw.send(clientFrame(opcodes.continuation, 'two'));
      await stage.pick({
        foregate: () => stage.until(() => stage.requests.flatMap(said).join() === 'OPEN,PING p,TEXT onetwo'),
        pushpin: () => stage.until(() => stage.requests.at(-1)?.body === 'DISCONNECT\r\n'),
      })();
    },
  },
];

const requests: Case[] = [
  {
    id: '2.2-head',
    rule: 'every request is a POST to the URL of the handshake, with the type, the id and the length',
    run: async (stage) => {
      stage.answer(accepting());
      const socket = await stage.open('/room?x=1');
      socket.text('a');
      await stage.request(1);
      for (const one of stage.requests) {
        assert.deepEqual([one.method, one.path], ['POST', `${stage.path}/room?x=1`]);
        assert.equal(one.headers['content-type'], 'application/websocket-events');
        assert.equal(one.headers.accept, 'application/websocket-events');
        assert.equal(one.headers['content-length'], String(one.body.length));
        assert.equal(one.headers['transfer-encoding'], undefined);
        assert.equal(one.headers['sec-websocket-extensions'], 'grip');
      }
      const [first, second] = stage.requests;
      assert.match(String(first?.headers['connection-id']), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      assert.equal(first?.headers['connection-id'], second?.headers['connection-id']);
    },
  },
  {
    id: '2.2-removed',
    rule: "fields of the handshake that are the gateway's own are not forwarded, Meta-* and Grip-* included",
    run: async (stage) => {
      stage.answer(accepting());
      const own = [
        'Keep-Alive: a',
        'Accept: forged',
        'Accept-Encoding: forged',
        'Content-Encoding: forged',
        'Connection-Id: forged',
      ];
      await stage.open('', { headers: [...own, 'Meta-User: forged', 'Grip-Hold: forged', 'Sec-WebSocket-Extensions: forged'] });
      const { rawHeaders } = await stage.request(0);
      assert.equal(rawHeaders.includes('forged'), false, rawHeaders.join('|'));
    },
  },
  {
    id: '2.2-forwarded',
    rule: 'everything else of the handshake is in every request',
    run: async (stage) => {
      stage.answer(accepting());
      const headers = ['Origin: https://app.example', 'Cookie: a=b', 'Authorization: Basic eDp5', 'User-Agent: ua', 'X-Own: 1'];
      const socket = await stage.open('', { headers: [...headers, 'Sec-WebSocket-Protocol: chat'] });
      socket.text('a');
      await stage.request(1);
      for (const one of stage.requests) {
        const names = [
          'origin',
          'cookie',
          'authorization',
          'user-agent',
          'x-own',
          'sec-websocket-protocol',
          'sec-websocket-version',
        ];
        const expected = ['https://app.example', 'a=b', 'Basic eDp5', 'ua', '1', 'chat', '13'];
        assert.deepEqual(
          names.map((name) => one.headers[name]),
          expected,
        );
        assert.equal(one.headers['sec-websocket-key'], 'dGhlIHNhbXBsZSBub25jZQ==');
      }
    },
  },
  {
    id: '2.2-content-type',
    rule: 'a Content-Type of the client',
    differs: {
      foregate: 'is replaced',
      pushpin: 'is sent beside the right one',
      reason: 'two Content-Type fields are an invalid request',
    },
    run: async (stage) => {
      stage.answer(accepting());
      const client = await stage.handshake('', { headers: ['Content-Type: text/plain'] });
      const { rawHeaders } = await stage.request(0);
      const count = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-type').length;
      assert.equal(count, stage.pick({ foregate: 1, pushpin: 2 }));
      client.raw.destroy();
    },
  },
  {
    id: '2.2-signature-each-time',
    rule: 'Grip-Sig and Grip-Feature are in every request',
    run: async (stage) => {
      const socket = await opened(stage);
      socket.text('a');
      await stage.request(1);
      for (const { headers } of stage.requests) {
        assert.ok(headers['grip-sig']);
        assert.ok(headers['grip-feature']);
      }
    },
  },
  {
    id: '2.2-no-grip',
    rule: 'a route with no_grip signs nothing and offers no extension',
    run: async (stage) => {
      await opened(stage, events(), { host: 'no-grip.example' });
      const { headers } = await stage.request(0);
      assert.deepEqual(
        [headers['grip-sig'], headers['grip-feature'], headers['sec-websocket-extensions']],
        [undefined, undefined, undefined],
      );
    },
  },
];

const replies: Case[] = [
  ...(
    [
      ['status-201', { ...events(event('TEXT', 'x')), status: 201 }],
      ['status-204', { status: 204, headers: { 'Content-Type': 'application/websocket-events' } }],
      ['status-500', { status: 500, body: 'broken' }],
      ['redirect', { status: 302, headers: { Location: '/elsewhere', 'Content-Type': 'application/websocket-events' } }],
      ['other-type', { headers: { 'Content-Type': 'text/plain' }, body: event('TEXT', 'x') }],
      ['no-type', { body: event('TEXT', 'x') }],
    ] as const
  ).map(([name, reply]): Case => ({
    id: `2.3-${name}`,
    rule: 'a reply that is not 200 with the type of events drops the client, without DISCONNECT',
    run: async (stage) => {
      const socket = await answerTo(stage, reply);
      assert.equal(await socket.next(), 'DROPPED');
      await stage.quiet();
      assert.equal(stage.requests.length, 2);
    },
  })),
  {
    id: '2.3-type-with-parameter',
    rule: 'a parameter of the type, as charset',
    differs: {
      foregate: 'is tolerated, and so are capitals',
      pushpin: 'makes the reply an error',
      reason: 'frameworks add it by themselves',
    },
    run: async (stage) => {
      const socket = await answerTo(stage, {
        headers: { 'Content-Type': 'Application/WebSocket-Events; charset=utf-8' },
        body: event('TEXT', 'x'),
      });
      assert.equal(await socket.next(), stage.pick({ foregate: 'TEXT x', pushpin: 'DROPPED' }));
    },
  },
  {
    id: '2.3-chunked',
    rule: 'the body of a reply may be chunked',
    run: async (stage) => {
      const socket = await opened(stage, ({ response }) => {
        response.writeHead(200, { 'Content-Type': 'application/websocket-events' });
        response.write('TEXT 3\r\na');
        response.end('bc\r\n');
        return undefined;
      });
      socket.text('say');
      assert.equal(await socket.next(), 'TEXT abc');
    },
  },
  {
    id: '2.3-messages-in-order',
    rule: 'TEXT, BINARY, PING and PONG of a reply are sent in order',
    run: async (stage) => {
      const socket = await answerTo(
        stage,
        events(event('TEXT', 'a') + event('BINARY', '\xff') + event('PING', 'p') + event('PONG', 'q') + 'PING\r\n'),
      );
      const got: string[] = [];
      for (let i = 0; i < 5; i += 1) got.push(await socket.next());
      assert.deepEqual(got, ['TEXT a', 'BINARY \xff', 'PING p', 'PONG q', 'PING']);
    },
  },
  {
    id: '2.3-disconnect',
    rule: 'DISCONNECT in a reply drops the client; messages before it',
    differs: {
      foregate: 'are delivered first',
      pushpin: 'are lost',
      reason: 'the backend has said them first',
    },
    run: async (stage) => {
      const socket = await answerTo(stage, events(`${event('TEXT', 'a')}DISCONNECT\r\n`));
      if (stage.kind === 'foregate') assert.equal(await socket.next(), 'TEXT a');
      assert.equal(await socket.next(), 'DROPPED');
      await stage.quiet();
      assert.equal(stage.requests.length, 2);
    },
  },
  {
    id: '2.3-open-again',
    rule: 'OPEN in a later reply is an error: the client is dropped',
    run: async (stage) => {
      const socket = await answerTo(stage, events('OPEN\r\n'));
      assert.equal(await socket.next(), 'DROPPED');
    },
  },
  {
    id: '2.3-nothing-to-say',
    rule: 'an empty body with 200 and the type means: received',
    run: async (stage) => {
      const socket = await opened(stage);
      socket.text('a');
      await stage.request(1);
      socket.text('b');
      assert.equal((await stage.request(2)).body, event('TEXT', 'b'));
    },
  },
  {
    id: '2.3-after-close',
    rule: 'events after CLOSE in a reply are ignored',
    run: async (stage) => {
      const socket = await answerTo(stage, events(event('CLOSE', closing(4001, 'bye')) + event('TEXT', 'late')));
      assert.equal(await socket.next(), 'CLOSE 4001 bye');
    },
  },
];

/** Sends a handshake whose OPEN is answered so, and takes what the client gets. */
async function refusal(stage: Stage, reply: Answer | Reply, host?: string): Promise<Awaited<ReturnType<HttpClient['answer']>>> {
  stage.answer(reply);
  const client = await stage.handshake('', host === undefined ? {} : { host });
  return client.answer();
}

const opening: Case[] = [
  {
    id: '2.4-open-alone',
    rule: 'the first request has OPEN alone, and the handshake is answered after its reply',
    run: async (stage) => {
      const waiting = gate();
      stage.answer(async () => {
        await waiting.passed;
        return events('OPEN\r\n');
      });
      const client = await stage.handshake();
      assert.equal((await stage.request(0)).body, 'OPEN\r\n');
      await stage.quiet(200);
      assert.equal(client.raw.received.length, 0);
      waiting.open();
      const { head } = await stage.opened(client);
      assert.equal(head.headers.get('sec-websocket-accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    },
  },
  {
    id: '2.4-headers',
    rule: "the reply's fields are copied to the 101, cookies and subprotocol included, but not those of the protocol",
    run: async (stage) => {
      const headers = {
        'Set-Cookie': 'a=b',
        'Sec-WebSocket-Protocol': 'chat',
        'X-Own': '1',
        'Set-Meta-User': 'm',
        'Keep-Alive-Interval': '60',
        ...grip,
      };
      stage.answer(accepting({ headers }));
      const { head } = await stage.open('', { headers: ['Sec-WebSocket-Protocol: chat, other'] });
      const get = (name: string): string | undefined => head.headers.get(name);
      assert.deepEqual([get('set-cookie'), get('sec-websocket-protocol'), get('x-own')], ['a=b', 'chat', '1']);
      for (const name of ['content-length', 'content-type', 'keep-alive-interval', 'set-meta-user', 'sec-websocket-extensions'])
        assert.equal(get(name), undefined, name);
    },
  },
  {
    id: '2.4-hop-by-hop',
    rule: 'Keep-Alive and Content-Bytes-Accepted in the reply to OPEN',
    differs: {
      foregate: 'are not copied',
      pushpin: 'are copied to the 101',
      reason: 'they are between gateway and backend',
    },
    run: async (stage) => {
      stage.answer(accepting({ headers: { 'Keep-Alive': 'timeout=5', 'Content-Bytes-Accepted': '0' } }));
      const { head } = await stage.open();
      assert.deepEqual(
        ['keep-alive', 'content-bytes-accepted'].map((name) => head.headers.get(name)),
        stage.pick({ foregate: [undefined, undefined], pushpin: ['timeout=5', '0'] }),
      );
    },
  },
  {
    id: '2.4-more-events',
    rule: 'events after OPEN in the reply follow as frames',
    run: async (stage) => {
      stage.answer(accepting({ more: event('TEXT', 'welcome') }));
      assert.equal(await (await stage.open()).next(), 'TEXT welcome');
    },
  },
  {
    id: '2.4-later',
    rule: 'an empty reply with a keep-alive interval: not yet; OPEN is sent again after the interval',
    slow: true,
    run: async (stage) => {
      stage.answer(() => (stage.requests.length === 1 ? events('', { 'Keep-Alive-Interval': '20' }) : events('OPEN\r\n')));
      const client = await stage.handshake();
      await stage.opened(client, 40_000);
      assert.deepEqual(
        stage.requests.map(({ body }) => body),
        ['OPEN\r\n', 'OPEN\r\n'],
      );
    },
  },
  ...(
    [
      ['empty', events()],
      ['not-open', events(event('TEXT', 'x'))],
      ['malformed', events('OPEN\n')],
      ['too-long', events(`OPEN\r\n${event('TEXT', 'x'.repeat(1_000_001))}`)],
    ] as const
  ).map(([name, reply]): Case => ({
    id: `2.4-${name}`,
    rule: 'a reply to OPEN that cannot be meant gives 502',
    run: async (stage) => {
      const answer = await refusal(stage, reply);
      assert.deepEqual([answer.status, answer.body], [502, failure]);
      await stage.quiet();
      assert.equal(stage.requests.length, 1);
    },
  })),
  {
    id: '2.4-no-type',
    rule: "Content-Type of the gateway's own refusals of WebSockets",
    differs: { foregate: 'is text/plain', pushpin: 'is not there', reason: 'a body without a type is guessed at' },
    run: async (stage) => {
      const expected = stage.pick({ foregate: 'text/plain', pushpin: undefined });
      assert.equal((await refusal(stage, events())).headers.get('content-type'), expected);
    },
  },
  {
    id: '2.4-refusal',
    rule: 'any other reply is a refusal and goes to the client as it is',
    run: async (stage) => {
      const headers = { 'X-Own': '1', 'Set-Cookie': 'a=b', 'Content-Type': 'text/html' };
      const answer = await refusal(stage, { status: 403, reason: 'Not You', headers, body: '<p>no' });
      assert.deepEqual([answer.status, answer.reason, answer.body], [403, 'Not You', '<p>no']);
      assert.deepEqual(
        ['x-own', 'set-cookie', 'content-type'].map((name) => answer.headers.get(name)),
        ['1', 'a=b', 'text/html'],
      );
    },
  },
  {
    id: '2.4-redirect',
    rule: 'a redirect is a refusal and is passed on',
    run: async (stage) => {
      const answer = await refusal(stage, { status: 302, headers: { Location: 'https://login.example/' } });
      assert.deepEqual([answer.status, answer.headers.get('location')], [302, 'https://login.example/']);
    },
  },
  {
    id: '2.4-refusal-with-type',
    rule: 'a 4xx is a refusal, also with the type of events',
    run: async (stage) => {
      const answer = await refusal(stage, { ...events('OPEN\r\n'), status: 401 });
      assert.equal(answer.status, 401);
    },
  },
  {
    id: '2.4-no-target',
    rule: 'no target can be connected to: 502',
    run: async (stage) => {
      const answer = await refusal(stage, {}, 'closed.example');
      assert.deepEqual([answer.status, answer.body], [502, failure]);
    },
  },
  {
    id: '2.4-no-target-debug',
    rule: 'in debug mode it says which were tried',
    run: async (stage) => {
      const answer = await refusal(stage, {}, 'closed-debug.example');
      assert.equal(answer.status, 502);
      assert.match(answer.body, /^Unable to connect to any targets\. Tried: 127\.0\.0\.1:\d+\n$/);
    },
  },
  {
    id: '2.4-no-route',
    rule: 'no route for the request: 502',
    run: async (stage) => {
      assert.equal((await refusal(stage, {}, 'paths.example')).status, 502);
      assert.equal(stage.requests.length, 0);
    },
  },
  {
    id: '2.4-next-target',
    rule: 'a refused connection leads to the next target of the route',
    run: async (stage) => {
      await opened(stage, events(), { host: 'failover.example' });
      assert.equal(stage.requests.length, 1);
    },
  },
  {
    id: '2.4-early-frames',
    rule: 'frames that come before the reply to OPEN are kept and sent afterwards',
    run: async (stage) => {
      const waiting = gate();
      stage.answer(async (one) => {
        if (one.body !== 'OPEN\r\n') return events();
        await waiting.passed;
        return events('OPEN\r\n');
      });
      const client = await stage.handshake();
      await stage.request(0);
      client.raw.send(clientFrame(opcodes.text, 'early'));
      await stage.quiet(200);
      assert.equal(stage.requests.length, 1);
      waiting.open();
      assert.equal((await stage.request(1)).body, event('TEXT', 'early'));
    },
  },
  {
    id: '2.4-gone-meanwhile',
    rule: 'a client that leaves while OPEN is pending and is accepted: DISCONNECT follows',
    run: async (stage) => {
      const waiting = gate();
      stage.answer(async () => {
        await waiting.passed;
        return events('OPEN\r\n');
      });
      const client = await stage.handshake();
      await stage.request(0);
      client.raw.destroy();
      await stage.quiet(200);
      waiting.open();
      assert.equal((await stage.request(1)).body, 'DISCONNECT\r\n');
    },
  },
];

const exchanges: Case[] = [
  {
    id: '2.5-one-request-in-flight',
    rule: 'one request in flight at most; what comes meanwhile goes together, in order, when its reply is there',
    run: async (stage) => {
      const waiting = held(stage);
      const socket = await stage.open();
      socket.text('a');
      await stage.request(1);
      socket.text('b');
      socket.binary('c');
      socket.text('d');
      await stage.quiet();
      assert.equal(stage.requests.length, 2);
      waiting.open();
      assert.equal((await stage.request(2)).body, event('TEXT', 'b') + event('BINARY', 'c') + event('TEXT', 'd'));
    },
  },
  {
    id: '2.5-one-event',
    rule: 'a target with one_event gets one event in a request, CLOSE alone, too',
    run: async (stage) => {
      const waiting = held(stage);
      const socket = await stage.open('', { host: 'one-event.example' });
      socket.text('a');
      await stage.request(1);
      socket.text('b');
      socket.text('c');
      socket.close(1000);
      await stage.quiet();
      waiting.open();
      await stage.request(4);
      assert.deepEqual(
        stage.requests.map(({ body }) => body),
        ['OPEN\r\n', ...['a', 'b', 'c'].map((text) => event('TEXT', text)), event('CLOSE', closing(1000))],
      );
    },
  },
  {
    id: '2.5-ping-is-forwarded',
    rule: 'PING and PONG of the client are events; the gateway answers none itself',
    run: async (stage) => {
      const socket = await opened(stage, events(event('TEXT', 'heard')));
      socket.ping('p');
      assert.equal((await stage.request(1)).body, event('PING', 'p'));
      assert.equal(await socket.next(), 'TEXT heard');
      socket.pong();
      assert.equal((await stage.request(2)).body, 'PONG\r\n');
    },
  },
  {
    id: '2.5-empty-while-waiting',
    rule: 'an empty message that waits during a request is not lost',
    run: async (stage) => {
      const waiting = held(stage);
      const socket = await stage.open();
      socket.text('a');
      await stage.request(1);
      socket.text('');
      await stage.quiet(200);
      waiting.open();
      assert.match((await stage.request(2)).body, /^TEXT(\r\n| 0\r\n\r\n)$/);
    },
  },
  {
    id: '2.5-much-waits',
    rule: 'messages of more than 200000 bytes together that come during one request',
    differs: {
      foregate: 'wait, and arrive in order, about 200000 bytes in a request',
      pushpin: 'drop the client when one of them does not fit any more (1.36)',
      reason: 'a client that is quick has done nothing wrong; it is read no further meanwhile',
    },
    run: async (stage) => {
      const waiting = held(stage);
      const socket = await stage.open();
      socket.text('first');
      await stage.request(1);
      const letters = ['a', 'b', 'c', 'd', 'e', 'f'];
      for (const letter of letters) socket.text(letter.repeat(60_000));
      await stage.quiet();
      waiting.open();
      if (stage.kind === 'pushpin') {
        assert.equal(await socket.next(), 'DROPPED');
        return;
      }
      const all = (): string[] => stage.requests.slice(2).flatMap(said);
      await stage.until(() => all().length === letters.length);
      assert.deepEqual(
        all().map((text) => text.slice(0, 6)),
        letters.map((letter) => `TEXT ${letter}`),
      );
      for (const { body } of stage.requests) assert.ok(body.length < 270_000, `${body.length} bytes in one request`);
    },
  },
  {
    id: '2.5-refresh',
    rule: 'the publish action refresh makes an empty request at once (from Pushpin 1.38)',
    absent: 'pushpin',
    differs: { foregate: 'does it', pushpin: 'knows no such action (1.36)', reason: 'it is of Pushpin 1.38' },
    run: async (stage) => {
      stage.answer(accepting({ headers: grip, more: controlled('subscribe', { channel: stage.channel }) }));
      const socket = await stage.open();
      await stage.joined(socket);
      await stage.publish({ channel: stage.channel, formats: { 'ws-message': { action: 'refresh' } } });
      assert.equal((await stage.request(1)).body, '');
    },
  },
  {
    id: '2.5-close-goes-with-messages',
    rule: 'CLOSE goes together with all messages that wait',
    run: async (stage) => {
      const waiting = held(stage);
      const socket = await stage.open();
      socket.text('a');
      await stage.request(1);
      socket.text('b');
      socket.close(4000, 'bye');
      await stage.quiet(200);
      waiting.open();
      assert.equal((await stage.request(2)).body, event('TEXT', 'b') + event('CLOSE', closing(4000, 'bye')));
    },
  },
];

const metadata: Case[] = [
  {
    id: '2.6-meta',
    rule: 'Set-Meta is sent back as Meta in every later request, replaced by a new value, deleted by an empty one',
    run: async (stage) => {
      const answers = [
        events('OPEN\r\n', { 'Set-Meta-User': '1', 'set-meta-b': 'x' }),
        events('', { 'SET-META-USER': '2' }),
        events('', { 'Set-Meta-User': '' }),
      ];
      stage.answer(() => answers[stage.requests.length - 1] ?? events());
      const socket = await stage.open();
      for (const text of ['a', 'b', 'c']) {
        const count = stage.requests.length;
        socket.text(text);
        await stage.request(count);
        await stage.quiet(100);
      }
      assert.deepEqual(
        stage.requests.map(({ headers }) => headers['meta-user']),
        [undefined, '1', '2', undefined],
      );
      assert.deepEqual(
        stage.requests.map(({ headers }) => headers['meta-b']),
        [undefined, 'x', 'x', 'x'],
      );
    },
  },
  {
    id: '2.6-meta-on-disconnect',
    rule: 'the metadata is in DISCONNECT, that of a reply that came after the client had left included',
    run: async (stage) => {
      const waiting = held(stage, events('', { 'Set-Meta-User': 'late' }));
      const socket = await stage.open();
      socket.text('a');
      await stage.request(1);
      socket.drop();
      await stage.quiet(200);
      waiting.open();
      const last = await stage.request(2);
      assert.deepEqual([last.body, last.headers['meta-user']], ['DISCONNECT\r\n', 'late']);
    },
  },
];

const keepAlive: Case[] = [
  {
    id: '2.7-interval',
    rule: 'after the interval an empty request is made; below 20 acts as 20',
    slow: true,
    run: async (stage) => {
      stage.answer(accepting({ headers: { 'Keep-Alive-Interval': '1' } }));
      await stage.open();
      const first = await stage.request(0);
      const second = await stage.request(1, 40_000);
      assert.deepEqual([second.body, second.headers['content-length']], ['', '0']);
      assert.ok(second.at - first.at > 18_000, 'too early');
    },
  },
  ...['0', 'off', ''].map((value): Case => ({
    id: `2.7-turned-off-by-${value || 'nothing'}`,
    rule: `Keep-Alive-Interval: ${value} turns it off`,
    slow: true,
    run: async (stage) => {
      stage.answer(accepting({ headers: { 'Keep-Alive-Interval': '20' } }, () => events('', { 'Keep-Alive-Interval': value })));
      const socket = await stage.open();
      socket.text('a');
      await stage.request(1);
      await stage.quiet(23_000);
      assert.equal(stage.requests.length, 2);
    },
  })),
  {
    id: '2.7-sticky',
    rule: 'a reply without the field leaves the interval as it was, and every request starts the time again',
    slow: true,
    run: async (stage) => {
      stage.answer(accepting({ headers: { 'Keep-Alive-Interval': '20' } }));
      const socket = await stage.open();
      await stage.quiet(8000);
      socket.text('a');
      const message = await stage.request(1);
      const empty = await stage.request(2, 40_000);
      assert.equal(empty.body, '');
      assert.ok(empty.at - message.at > 18_000, 'too early');
    },
  },
  {
    id: '2.7-events-in-reply',
    rule: 'the reply to a keep-alive may have events',
    slow: true,
    run: async (stage) => {
      stage.answer(accepting({ headers: { 'Keep-Alive-Interval': '20' } }, () => events(event('TEXT', 'psst'))));
      const socket = await stage.open();
      assert.equal(await socket.next(40_000), 'TEXT psst');
    },
  },
];

const partial: Case[] = [
  {
    id: '2.8-partial',
    rule: 'Content-Bytes-Accepted: the rest is offered again, with Content-Bytes-Replayed (from Pushpin 1.41)',
    absent: 'pushpin',
    differs: { foregate: 'does it', pushpin: 'knows no partial acceptance (1.36)', reason: 'it is of Pushpin 1.41' },
    run: async (stage) => {
      stage.answer(accepting({}, () => (stage.requests.length === 2 ? events('', { 'Content-Bytes-Accepted': '6' }) : events())));
      const socket = await stage.open();
      socket.text('aa;bb;c');
      await stage.request(1);
      await stage.quiet(200);
      socket.text('c;');
      const next = await stage.request(2);
      assert.equal(next.headers['content-bytes-replayed'], '1');
      assert.equal(next.body, event('TEXT', 'c') + event('TEXT', 'c;'));
    },
  },
  {
    id: '2.8-too-many',
    rule: 'more accepted than was offered drops the connection (from Pushpin 1.41)',
    absent: 'pushpin',
    differs: { foregate: 'does it', pushpin: 'knows no partial acceptance (1.36)', reason: 'it is of Pushpin 1.41' },
    run: async (stage) => {
      const socket = await answerTo(stage, events('', { 'Content-Bytes-Accepted': '4' }));
      assert.equal(await socket.next(2000), 'DROPPED');
    },
  },
];

const ends: Case[] = [
  {
    id: '2.9-client-closes',
    rule: 'CLOSE carries code and reason; the client gets the code and reason of the reply, then no more is asked',
    run: async (stage) => {
      const socket = await opened(stage, events(event('CLOSE', closing(4002, 'yours'))));
      socket.close(4000, 'mine');
      assert.equal((await stage.request(1)).body, event('CLOSE', closing(4000, 'mine')));
      assert.equal(await socket.next(), 'CLOSE 4002 yours');
      await socket.raw.takeEnd(10_000);
      await stage.quiet();
      assert.equal(stage.requests.length, 2);
    },
  },
  {
    id: '2.9-client-closes-without-code',
    rule: 'a close without a code is CLOSE without content; CLOSE without content in the reply is 1000',
    run: async (stage) => {
      const socket = await opened(stage, events('CLOSE\r\n'));
      socket.close();
      assert.equal((await stage.request(1)).body, 'CLOSE\r\n');
      assert.equal(await socket.next(), 'CLOSE 1000');
    },
  },
  {
    id: '2.9-short-close',
    rule: 'CLOSE with fewer than two bytes in the reply is 1000 without a reason',
    run: async (stage) => {
      const socket = await opened(stage, events(event('CLOSE', 'x')));
      socket.close(4000);
      assert.equal(await socket.next(), 'CLOSE 1000');
    },
  },
  {
    id: '2.9-close-unanswered',
    rule: 'a reply without CLOSE to the close of the client drops it',
    run: async (stage) => {
      const socket = await opened(stage);
      socket.close(1000);
      await stage.request(1);
      assert.equal(await socket.next(), 'DROPPED');
      await stage.quiet();
      assert.equal(stage.requests.length, 2);
    },
  },
  {
    id: '2.9-close-repeated',
    rule: 'with a keep-alive interval CLOSE is sent again every interval until it is answered',
    slow: true,
    run: async (stage) => {
      const bye = event('CLOSE', closing(1000));
      stage.answer(accepting({ headers: { 'Keep-Alive-Interval': '20' } }, () => events(stage.requests.length > 2 ? bye : '')));
      const socket = await stage.open();
      socket.close(1000);
      assert.equal(await socket.next(40_000), 'CLOSE 1000');
      assert.deepEqual(
        stage.requests.map(({ body }) => body),
        ['OPEN\r\n', bye, bye],
      );
    },
  },
  {
    id: '2.9-close-error',
    rule: 'an error in answer to CLOSE drops the client',
    run: async (stage) => {
      const socket = await opened(stage, { status: 500 });
      socket.close(1000);
      assert.equal(await socket.next(), 'DROPPED');
    },
  },
  {
    id: '2.9-backend-closes',
    rule: "CLOSE of the backend reaches the client; the client's answer makes one more request, then it ends",
    run: async (stage) => {
      const socket = await opened(stage, () =>
        stage.requests.length === 2 ? events(event('CLOSE', closing(4001, 'done'))) : events(),
      );
      socket.text('a');
      assert.equal(await socket.next(), 'CLOSE 4001 done');
      socket.close(4001);
      assert.equal((await stage.request(2)).body, event('CLOSE', closing(4001)));
      await socket.raw.takeEnd(10_000);
      await stage.quiet();
      assert.equal(stage.requests.length, 3);
    },
  },
  ...([0, 1005, 1006, 1015, 5000] as const).map((code): Case => ({
    id: `2.9-code-${code}`,
    rule: `CLOSE of the backend with the code ${code}, which must not be sent`,
    differs: {
      foregate: 'the client gets 1000',
      pushpin: 'the client gets the number',
      reason: 'clients would report a protocol error; some libraries of backends send 0',
    },
    run: async (stage) => {
      const socket = await answerTo(stage, events(event('CLOSE', closing(code))));
      assert.equal(await socket.next(), stage.pick({ foregate: 'CLOSE 1000', pushpin: `CLOSE ${code}` }));
    },
  })),
  {
    id: '2.9-never-answers',
    rule: 'a client that never answers the close of the backend',
    slow: true,
    differs: {
      foregate: 'is disconnected after 10 seconds',
      pushpin: 'is kept until the idle timeout of 30 minutes',
      reason: 'it would hold its place for nothing',
    },
    run: async (stage) => {
      const socket = await answerTo(stage, events(event('CLOSE', closing(1000))));
      assert.equal(await socket.next(), 'CLOSE 1000');
      await stage.quiet(14_000);
      assert.equal(socket.raw.ended, stage.pick({ foregate: true, pushpin: false }));
    },
  },
  {
    id: '2.9-drop',
    rule: 'a client that is lost: what waits is discarded, the request in flight ends, then DISCONNECT alone',
    run: async (stage) => {
      const waiting = held(stage);
      const socket = await stage.open();
      socket.text('a');
      await stage.request(1);
      socket.text('b');
      await stage.quiet(200);
      socket.drop();
      await stage.quiet(200);
      waiting.open();
      assert.equal((await stage.request(2)).body, 'DISCONNECT\r\n');
      await stage.quiet();
      assert.equal(stage.requests.length, 3);
    },
  },
  {
    id: '2.9-refused-is-never-disconnected',
    rule: 'a backend that has not accepted OPEN gets neither CLOSE nor DISCONNECT',
    run: async (stage) => {
      stage.answer({ status: 403 });
      const client = await stage.handshake();
      await client.head();
      client.raw.destroy();
      await stage.quiet();
      assert.equal(stage.requests.length, 1);
    },
  },
  {
    id: '2.9-published-close',
    rule: 'a published close: the backend gets CLOSE without a code, the client the code and reason',
    run: async (stage) => {
      stage.answer(accepting({ headers: grip, more: controlled('subscribe', { channel: stage.channel }) }));
      const socket = await stage.open();
      await stage.joined(socket);
      await stage.publish({ channel: stage.channel, formats: { 'ws-message': { action: 'close', code: 4010, reason: 'over' } } });
      assert.equal(await socket.next(), 'CLOSE 4010 over');
      await stage.until(() => stage.requests.at(-1)?.body === 'CLOSE\r\n');
    },
  },
];

/** A backend that breaks off: what it does to the connection of a request. */
const errors: Case[] = [
  {
    id: '2.10-broken-after-request',
    rule: 'a backend that closes after it has the whole request, before a reply: dropped, no DISCONNECT',
    run: async (stage) => {
      const socket = await opened(stage, ({ response }) => {
        response.write('begun');
        setTimeout(() => response.destroy(), 50);
        return undefined;
      });
      socket.text('a');
      assert.equal(await socket.next(), 'DROPPED');
      await stage.quiet();
      assert.equal(stage.requests.filter(({ body }) => body === 'DISCONNECT\r\n').length, 0);
    },
  },
  {
    id: '2.10-reset',
    rule: 'a kept connection that breaks before a byte of the reply came: the request is repeated',
    differs: {
      foregate: 'once at most',
      pushpin: 'up to 5 times (1.36)',
      reason: 'the backend may have taken the events each time',
    },
    run: async (stage) => {
      const socket = await opened(stage, ({ response }) => {
        response.destroy();
        return undefined;
      });
      socket.text('a');
      assert.equal(await socket.next(), 'DROPPED');
      const sent = stage.requests.filter(({ body }) => body === event('TEXT', 'a')).length;
      assert.ok(sent >= 1 && sent <= stage.pick({ foregate: 2, pushpin: 6 }), `it was sent ${sent} times`);
    },
  },
  {
    id: '2.10-retry',
    rule: 'a backend that cannot be connected to is tried again after a second or two, with the same body; what came since follows',
    slow: true,
    run: async (stage) => {
      const first = await startBackend(stage.gateway.sparePort);
      first.share('2.10-retry').answer = accepting();
      const socket = await stage.open('', { host: 'spare.example' });
      await first.stop();
      socket.text('a');
      await stage.quiet(500);
      socket.text('b');
      const second = await startBackend(stage.gateway.sparePort);
      const share = second.share('2.10-retry');
      share.answer = () => events(event('TEXT', 'back'));
      try {
        assert.equal(await socket.next(), 'TEXT back');
        assert.equal(await socket.next(), 'TEXT back');
        assert.deepEqual(
          share.requests.map(({ body }) => body),
          [event('TEXT', 'a'), event('TEXT', 'b')],
        );
      } finally {
        await second.stop();
      }
    },
  },
  {
    id: '2.10-gives-up',
    rule: 'after five tries, 1, 2, 4, 8 and 16 seconds apart or up to a second more, the client is dropped',
    slow: true,
    run: async (stage) => {
      const first = await startBackend(stage.gateway.otherSparePort);
      first.share('2.10-gives-up').answer = accepting();
      const socket = await stage.open('', { host: 'other-spare.example' });
      await first.stop();
      const started = performance.now();
      socket.text('a');
      assert.equal(await socket.next(45_000), 'DROPPED');
      const seconds = (performance.now() - started) / 1000;
      assert.ok(seconds > 30.9 && seconds < 40, `after ${seconds} s`);
    },
  },
  {
    id: '2.10-too-long',
    rule: 'a reply above 1000000 bytes drops the client',
    run: async (stage) => {
      const socket = await answerTo(stage, events(event('TEXT', 'x'.repeat(1_000_001))));
      assert.equal(await socket.next(), 'DROPPED');
    },
  },
  {
    id: '2.10-waits',
    rule: 'a reply that takes its time is waited for',
    slow: true,
    run: async (stage) => {
      const socket = await opened(stage, async () => {
        await stage.quiet(4000);
        return events(event('TEXT', 'at last'));
      });
      socket.text('a');
      assert.equal(await socket.next(), 'TEXT at last');
    },
  },
];

const detached: Case[] = [
  {
    id: '2.11-detach',
    rule: 'detach: the backend gets CLOSE at once, what the client says is discarded, what is published arrives',
    run: async (stage) => {
      stage.answer(
        accepting({ headers: grip, more: controlled('subscribe', { channel: stage.channel }) + controlled('detach') }),
      );
      const socket = await stage.open();
      await stage.until(() => stage.requests.length === 2);
      assert.equal(stage.requests[1]?.body, 'CLOSE\r\n');
      socket.text('nobody hears');
      await stage.joined(socket);
      await stage.say('still here');
      assert.equal(await socket.next(), 'TEXT still here');
      assert.equal(stage.requests.length, 2);
    },
  },
  {
    id: '2.11-close-after-detach',
    rule: 'after detach a close of the client is answered by the gateway, and no DISCONNECT is made',
    run: async (stage) => {
      stage.answer(accepting({ headers: grip, more: controlled('detach') }));
      const socket = await stage.open();
      await stage.request(1);
      await stage.quiet();
      socket.close(1000);
      assert.equal(await socket.next(), 'CLOSE 1000');
      await stage.quiet();
      assert.equal(stage.requests.length, 2);
    },
  },
];

const limits: Case[] = [
  {
    id: '2.12-large-message',
    rule: 'a client message of 199999 bytes is taken',
    run: async (stage) => {
      const socket = await opened(stage);
      socket.text('x'.repeat(199_999));
      assert.equal((await stage.request(1)).body.length, 'TEXT 30d3f\r\n'.length + 199_999 + 2);
    },
  },
  {
    id: '2.12-too-large-message',
    rule: 'a client message above 200000 bytes drops the client',
    run: async (stage) => {
      const socket = await opened(stage);
      socket.text('x'.repeat(200_001));
      assert.equal(await socket.next(), 'DROPPED');
    },
  },
  {
    id: '2.12-large-reply-message',
    rule: 'a reply message above 32 KB',
    differs: { foregate: 'arrives', pushpin: 'stalls (1.36)', reason: 'a defect, mended in Pushpin 1.38' },
    run: async (stage) => {
      const content = 'y'.repeat(100_000);
      const socket = await answerTo(stage, events(event('TEXT', content)));
      if (stage.kind === 'foregate') assert.equal(await socket.next(), `TEXT ${content}`);
      else await assert.rejects(socket.next(2000));
    },
  },
];

/** The WebSocket server of a case on the route without over_http. */
function serveSockets(
  stage: Stage,
  headers: readonly string[] = [],
): { readonly heads: IncomingMessage[]; readonly sockets: WebSocket[] } {
  const server = new WebSocketServer({ noServer: true, autoPong: false });
  const seen: { heads: IncomingMessage[]; sockets: WebSocket[] } = { heads: [], sockets: [] };
  server.on('headers', (lines) => lines.push(...headers));
  stage.upgrade((incoming, socket, head) => {
    server.handleUpgrade(incoming, socket, head, (accepted) => {
      seen.heads.push(incoming);
      seen.sockets.push(accepted);
    });
  });
  return seen;
}

const plain = { host: 'plain.example' };

/** A WebSocket on that route, and the backend's end of it. */
async function relay(stage: Stage, headers: readonly string[] = []) {
  const { heads, sockets } = serveSockets(stage, headers);
  const client = await stage.open('', {
    ...plain,
    headers: ['X-Own: 1', 'Grip-Hold: forged', 'Sec-WebSocket-Extensions: permessage-deflate'],
  });
  await stage.until(() => sockets.length > 0);
  const [backend] = sockets;
  const [head] = heads;
  assert.ok(backend && head);
  return { client, backend, head };
}

const nextOf = async (backend: WebSocket): Promise<string> => {
  const [data, binary] = (await once(backend, 'message', { signal: AbortSignal.timeout(10_000) })) as [Buffer, boolean];
  return `${binary ? 'BINARY' : 'TEXT'} ${data.toString('latin1')}`;
};

/** Targets that are WebSocket servers themselves. */
const relayed: Case[] = [
  {
    id: '2.13-handshake',
    rule: 'without over_http a WebSocket is opened to the backend, with the fields filtered and extended as for requests',
    run: async (stage) => {
      const { head, client } = await relay(stage);
      const { headers } = head;
      assert.deepEqual([headers['x-own'], headers['grip-hold'], headers['sec-websocket-extensions']], ['1', undefined, 'grip']);
      assert.ok(headers['grip-sig']);
      assert.equal(client.head.headers.get('sec-websocket-extensions'), undefined);
    },
  },
  {
    id: '2.13-frames',
    rule: 'frames are relayed one to one, pings of the backend too',
    run: async (stage) => {
      const { client, backend } = await relay(stage);
      let got = nextOf(backend);
      client.text('up');
      assert.equal(await got, 'TEXT up');
      got = nextOf(backend);
      client.binary('\xff');
      assert.equal(await got, 'BINARY \xff');
      backend.send('down');
      backend.send(Buffer.from([1]));
      backend.ping();
      assert.deepEqual([await client.next(), await client.next(), await client.next()], ['TEXT down', 'BINARY \x01', 'PING']);
    },
  },
  {
    id: '2.13-ping-content',
    rule: 'a ping between the client and a WebSocket backend',
    differs: { foregate: 'keeps its content', pushpin: 'loses its content (1.36)', reason: 'a PONG has to repeat it (RFC 6455)' },
    run: async (stage) => {
      const { client, backend } = await relay(stage);
      const ping = once(backend, 'ping', { signal: AbortSignal.timeout(10_000) });
      client.ping('p');
      assert.equal(String((await ping)[0]), stage.pick({ foregate: 'p', pushpin: '' }));
      backend.ping('q');
      assert.equal(await client.next(), stage.pick({ foregate: 'PING q', pushpin: 'PING' }));
    },
  },
  {
    id: '2.13-client-close',
    rule: 'the close code of the client reaches the backend, its answer the client',
    run: async (stage) => {
      const { client, backend } = await relay(stage);
      const closed = once(backend, 'close', { signal: AbortSignal.timeout(10_000) });
      client.close(4003, 'mine');
      const [code, reason] = (await closed) as [number, Buffer];
      assert.deepEqual([code, reason.toString()], [4003, 'mine']);
      assert.match(await client.next(), /^CLOSE 4003/);
    },
  },
  {
    id: '2.13-backend-close',
    rule: 'the close code of the backend reaches the client',
    run: async (stage) => {
      const { client, backend } = await relay(stage);
      backend.close(4004, 'yours');
      assert.equal(await client.next(), 'CLOSE 4004 yours');
    },
  },
  {
    id: '2.13-refusal',
    rule: 'an answer other than 101 of a WebSocket backend',
    differs: {
      foregate: 'is relayed',
      pushpin: 'is relayed without its reason and fields (1.36)',
      reason: 'a redirect or a challenge says nothing without them',
    },
    run: async (stage) => {
      stage.upgrade((_incoming, socket) => socket.end('HTTP/1.1 403 Not You\r\nX-Own: 1\r\nContent-Length: 2\r\n\r\nno'));
      const client = await stage.handshake('', plain);
      const answer = await client.answer();
      const [reason, own] = stage.pick({ foregate: ['Not You', '1'], pushpin: ['', undefined] });
      assert.deepEqual([answer.status, answer.reason, answer.headers.get('x-own'), answer.body], [403, reason, own, 'no']);
    },
  },
  {
    id: '2.13-grip',
    rule: 'the extension in the 101 of the backend turns GRIP on',
    run: async (stage) => {
      const { client, backend } = await relay(stage, ['Sec-WebSocket-Extensions: grip']);
      backend.send(`c:${JSON.stringify({ type: 'subscribe', channel: stage.channel })}`);
      backend.send('dropped');
      backend.send('m:hello');
      assert.equal(await client.next(), 'TEXT hello');
      await stage.joined(client);
    },
  },
];

export const websocketOverHttp: Chapter = {
  number: 2,
  title: 'WebSocket-over-HTTP',
  cases: [
    [encoding, requests, replies, opening, exchanges, metadata, keepAlive, partial],
    [ends, errors, detached, limits, relayed],
  ].flat(2),
};
