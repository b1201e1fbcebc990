/** Chapter 3: GRIP inside a WebSocket. */
import assert from 'node:assert/strict';
import type { Case, Chapter } from './case.ts';
import type { SocketClient } from './connection.ts';
import { accepting, controlled, event, events, grip } from './replies.ts';
import type { Stage } from './stage.ts';

/** Opens a WebSocket with GRIP turned on, whose OPEN reply has these events. */
async function opened(stage: Stage, more = '', headers: Readonly<Record<string, string>> = grip): Promise<SocketClient> {
  stage.answer(accepting({ headers, more }));
  return stage.open();
}

/** One that is subscribed to the case's channel. */
async function subscribed(stage: Stage, members: object = {}, more = ''): Promise<SocketClient> {
  const socket = await opened(stage, controlled('subscribe', { channel: stage.channel, ...members }) + more);
  await stage.joined(socket);
  return socket;
}

const own = (text: string): string => event('TEXT', `m:${text}`);
const sent = (content: string, more: object = {}): object => ({ formats: { 'ws-message': { content } }, ...more });

const switching: Case[] = [
  {
    id: '3.1-off',
    rule: 'without the extension in the reply every message is relayed as it is, c: and m: included',
    run: async (stage) => {
      const socket = await opened(stage, event('TEXT', 'c:{}') + own('x'), {});
      assert.deepEqual([await socket.next(), await socket.next()], ['TEXT c:{}', 'TEXT m:x']);
    },
  },
  {
    id: '3.1-no-grip',
    rule: 'nor with it on a route with no_grip',
    run: async (stage) => {
      stage.answer(accepting({ headers: grip, more: own('x') }));
      assert.equal(await (await stage.open('', { host: 'no-grip.example' })).next(), 'TEXT m:x');
    },
  },
  {
    id: '3.1-prefix',
    rule: 'message-prefix replaces m:',
    run: async (stage) => {
      const headers = { 'Sec-WebSocket-Extensions': 'grip; message-prefix="x-"' };
      const socket = await opened(stage, own('dropped') + event('TEXT', 'x-kept'), headers);
      assert.equal(await socket.next(), 'TEXT kept');
    },
  },
  {
    id: '3.1-empty-prefix',
    rule: 'message-prefix may be empty: every message is sent, but c: is still control',
    run: async (stage) => {
      const headers = { 'Sec-WebSocket-Extensions': 'grip; message-prefix=""' };
      const socket = await opened(stage, event('TEXT', 'plain') + event('TEXT', 'c:{}') + own('x'), headers);
      assert.deepEqual([await socket.next(), await socket.next()], ['TEXT plain', 'TEXT m:x']);
    },
  },
];

const routing: Case[] = [
  {
    id: '3.2-prefix-removed',
    rule: 'the prefix is removed, of TEXT and of BINARY',
    run: async (stage) => {
      const socket = await opened(stage, own('text') + event('BINARY', 'm:\xff'));
      assert.deepEqual([await socket.next(), await socket.next()], ['TEXT text', 'BINARY \xff']);
    },
  },
  {
    id: '3.2-others-dropped',
    rule: 'messages without the prefix are dropped, binary c: too; PING and PONG need none',
    run: async (stage) => {
      const socket = await opened(stage, event('TEXT', 'x') + event('BINARY', 'c:{}') + event('PING', 'p') + event('PONG', 'q'));
      assert.deepEqual([await socket.next(), await socket.next()], ['PING p', 'PONG q']);
    },
  },
  {
    id: '3.2-later-reply',
    rule: 'the same holds for later replies; what the client says has no prefix',
    run: async (stage) => {
      stage.answer(accepting({ headers: grip }, () => events(own('answer'))));
      const socket = await stage.open();
      socket.text('question');
      assert.equal(await socket.next(), 'TEXT answer');
      assert.equal((await stage.request(1)).body, event('TEXT', 'question'));
    },
  },
  {
    id: '3.2-published',
    rule: 'what is published is sent without a prefix',
    run: async (stage) => {
      const socket = await subscribed(stage);
      await stage.publish({ channel: stage.channel, ...sent('m:as it is') });
      assert.equal(await socket.next(), 'TEXT m:as it is');
    },
  },
  {
    id: '3.2-large-control',
    rule: 'a control message above 16384 bytes',
    differs: { foregate: 'is taken, up to 65536', pushpin: 'is ignored', reason: 'lists of filters may be long' },
    run: async (stage) => {
      const channel = `${stage.channel}-large`;
      const large = controlled('subscribe', { channel, padding: 'x'.repeat(16_400) });
      const socket = await opened(stage, large + controlled('subscribe', { channel: stage.channel }));
      await stage.joined(socket);
      await stage.publish({ channel, ...sent('large') }, { channel: stage.channel, ...sent('small') });
      const got = [await socket.next(), stage.kind === 'foregate' ? await socket.next() : undefined];
      assert.deepEqual(got, stage.pick({ foregate: ['TEXT large', 'TEXT small'], pushpin: ['TEXT small', undefined] }));
    },
  },
  {
    id: '3.2-large-without-prefix',
    rule: 'a message above 16384 bytes without a prefix',
    differs: {
      foregate: 'is dropped whole',
      pushpin: 'is dropped but for its end, which is sent',
      reason: 'a part of a message is worse than none',
    },
    run: async (stage) => {
      const socket = await opened(stage, event('TEXT', 'x'.repeat(16_384) + 'tail') + own('after'));
      const first = await socket.next();
      assert.equal(first, stage.pick({ foregate: 'TEXT after', pushpin: 'TEXT tail' }));
    },
  },
];

const controls: Case[] = [
  {
    id: '3.3-subscribe',
    rule: 'subscribe: what is published to the channel is sent; control messages themselves are not',
    run: async (stage) => {
      const socket = await subscribed(stage);
      await stage.publish({ channel: stage.channel, ...sent('news') });
      assert.equal(await socket.next(), 'TEXT news');
    },
  },
  {
    id: '3.3-subscribe-prefix',
    rule: "the route's prefix is put before the name of a channel",
    run: async (stage) => {
      stage.answer(accepting({ headers: grip, more: controlled('subscribe', { channel: stage.channel }) }));
      const socket = await stage.open('', { host: 'prefix.example' });
      await stage.joined(socket, `pre-${stage.channel}`);
      await stage.publish({ channel: stage.channel, ...sent('not this') }, { channel: `pre-${stage.channel}`, ...sent('this') });
      assert.equal(await socket.next(), 'TEXT this');
    },
  },
  {
    id: '3.3-subscribe-again',
    rule: 'subscribing again replaces the filters',
    run: async (stage) => {
      const me = controlled('set-meta', { name: 'user', value: 'me' });
      const again = controlled('subscribe', { channel: stage.channel });
      const socket = await subscribed(stage, { filters: ['skip-self'] }, me + again);
      await stage.publish({ channel: stage.channel, ...sent('mine', { meta: { sender: 'me' } }) });
      assert.equal(await socket.next(), 'TEXT mine');
    },
  },
  {
    id: '3.3-twenty-channels',
    rule: 'beyond 20 channels subscribe is ignored',
    run: async (stage) => {
      const names = Array.from({ length: 21 }, (_, i) => `${stage.channel}-${i + 1}`);
      const socket = await opened(stage, names.map((channel) => controlled('subscribe', { channel })).join(''));
      await stage.joined(socket, names[19]);
      await stage.publish({ channel: names[20], ...sent('surplus') });
      await stage.publish({ channel: names[0], ...sent('first') });
      assert.equal(await socket.next(), 'TEXT first');
    },
  },
  {
    id: '3.3-six-filters',
    rule: 'more than 5 filters close the connection with 1011 (from Pushpin 2.0)',
    absent: 'pushpin',
    differs: { foregate: 'ends the connection', pushpin: 'takes any number (1.36)', reason: 'the limit is of Pushpin 2.0' },
    run: async (stage) => {
      const filters = Array.from({ length: 6 }, () => 'skip-self');
      const socket = await opened(stage, controlled('subscribe', { channel: stage.channel, filters }));
      assert.match(await socket.next(3000), /^(DROPPED|CLOSE 1011)/);
    },
  },
  {
    id: '3.3-unsubscribe',
    rule: 'unsubscribe: nothing more is sent; an unknown channel is ignored',
    run: async (stage) => {
      const other = `${stage.channel}-other`;
      stage.answer(
        accepting(
          {
            headers: grip,
            more: controlled('subscribe', { channel: stage.channel }) + controlled('subscribe', { channel: other }),
          },
          () =>
            events(
              controlled('unsubscribe', { channel: 'unknown' }) +
                controlled('unsubscribe', { channel: stage.channel }) +
                own('ok'),
            ),
        ),
      );
      const socket = await stage.open();
      await stage.joined(socket);
      socket.text('leave');
      assert.equal(await socket.next(), 'TEXT ok');
      await stage.quiet(300);
      await stage.publish({ channel: stage.channel, ...sent('left') });
      await stage.publish({ channel: other, ...sent('other') });
      assert.equal(await socket.next(), 'TEXT other');
    },
  },
  {
    id: '3.3-set-meta',
    rule: 'set-meta feeds filters; without a value the item is deleted',
    run: async (stage) => {
      stage.answer(
        accepting(
          {
            headers: grip,
            more:
              controlled('set-meta', { name: 'user', value: 'me' }) +
              controlled('subscribe', { channel: stage.channel, filters: ['skip-self'] }),
          },
          () => events(controlled('set-meta', { name: 'user' }) + own('ok')),
        ),
      );
      const socket = await stage.open();
      await stage.joined(socket);
      await stage.publish({ channel: stage.channel, ...sent('mine', { meta: { sender: 'me' } }) });
      await stage.publish({ channel: stage.channel, ...sent('other') });
      assert.equal(await socket.next(), 'TEXT other');
      socket.text('forget');
      assert.equal(await socket.next(), 'TEXT ok');
      await stage.quiet(300);
      await stage.publish({ channel: stage.channel, ...sent('mine again', { meta: { sender: 'me' } }) });
      assert.equal(await socket.next(), 'TEXT mine again');
    },
  },
  ...(
    [
      ['text', { content: 'beat' }, 'TEXT beat'],
      ['binary', { content: 'beat', 'message-type': 'binary' }, 'BINARY beat'],
      ['ping', { content: 'beat', 'message-type': 'ping' }, 'PING beat'],
      ['pong', { content: 'beat', 'message-type': 'pong' }, 'PONG beat'],
      ['bin', { content: 'x', 'content-bin': 'YmVhdA==' }, 'TEXT beat'],
      ['interval', { content: 'beat', mode: 'interval' }, 'TEXT beat'],
      ['unknown-mode', { content: 'beat', mode: 'odd' }, 'TEXT beat'],
    ] as const
  ).map(([name, members, beat]): Case => ({
    id: `3.3-keep-alive-${name}`,
    rule: `keep-alive with ${JSON.stringify(members)} sends ${beat}, again and again`,
    slow: true,
    run: async (stage) => {
      const socket = await opened(stage, controlled('keep-alive', { ...members, timeout: 1 }));
      assert.deepEqual([await socket.next(), await socket.next()], [beat, beat]);
    },
  })),
  {
    id: '3.3-keep-alive-idle',
    rule: 'an idle keep-alive starts again with every frame that is sent, from the backend or published',
    slow: true,
    run: async (stage) => {
      const socket = await subscribed(stage, {}, controlled('keep-alive', { content: 'beat', timeout: 4 }));
      for (let i = 0; i < 8; i += 1) {
        await stage.publish({ channel: stage.channel, ...sent('item') });
        assert.equal(await socket.next(), 'TEXT item');
        await stage.quiet(800);
      }
      assert.equal(await socket.next(), 'TEXT beat');
    },
  },
  {
    id: '3.3-keep-alive-interval-regular',
    rule: 'an interval keep-alive comes whatever else is sent',
    slow: true,
    run: async (stage) => {
      const socket = await subscribed(stage, {}, controlled('keep-alive', { content: 'beat', timeout: 3, mode: 'interval' }));
      const got: string[] = [];
      for (let i = 0; i < 8; i += 1) {
        await stage.publish({ channel: stage.channel, ...sent('item') });
        got.push(await socket.next());
        await stage.quiet(800);
      }
      assert.ok(got.includes('TEXT beat'), got.join());
    },
  },
  {
    id: '3.3-keep-alive-stop',
    rule: 'keep-alive without content stops it',
    slow: true,
    run: async (stage) => {
      stage.answer(
        accepting({ headers: grip, more: controlled('keep-alive', { content: 'beat', timeout: 2 }) }, () =>
          events(controlled('keep-alive') + own('stopped')),
        ),
      );
      const socket = await stage.open();
      assert.equal(await socket.next(), 'TEXT beat');
      socket.text('stop');
      while ((await socket.next()) !== 'TEXT stopped');
      await stage.quiet(4000);
      assert.equal(socket.raw.received.length, 0);
    },
  },
  {
    id: '3.3-send-delayed',
    rule: 'send-delayed sends once, after a second unless told otherwise',
    slow: true,
    run: async (stage) => {
      const socket = await opened(stage, controlled('send-delayed', { content: 'late' }) + own('now'));
      assert.deepEqual([await socket.next(), await socket.next()], ['TEXT now', 'TEXT late']);
      await stage.quiet(2500);
      assert.equal(socket.raw.received.length, 0);
    },
  },
  {
    id: '3.3-send-delayed-twice',
    rule: 'a second send-delayed flushes the first at once',
    run: async (stage) => {
      const [one, two] = ['one', 'two'].map((content) => controlled('send-delayed', { content, timeout: 30 }));
      const socket = await opened(stage, `${one}${two}`);
      assert.equal(await socket.next(), 'TEXT one');
    },
  },
  {
    id: '3.3-flush-delayed',
    rule: 'flush-delayed sends what waits now; without anything it does nothing',
    run: async (stage) => {
      const later = controlled('send-delayed', { content: 'early', 'message-type': 'binary', timeout: 30 });
      const socket = await opened(stage, controlled('flush-delayed') + later + controlled('flush-delayed'));
      assert.equal(await socket.next(), 'BINARY early');
    },
  },
  {
    id: '3.3-order',
    rule: 'control messages take effect in order',
    run: async (stage) => {
      const subscribe = controlled('subscribe', { channel: stage.channel });
      const unsubscribe = controlled('unsubscribe', { channel: stage.channel });
      const socket = await opened(stage, subscribe + unsubscribe + subscribe);
      await stage.joined(socket);
    },
  },
  {
    id: '3.3-not-understood',
    rule: 'what is no JSON, of unknown type or with members of the wrong type is ignored',
    run: async (stage) => {
      const nonsense = ['c:', 'c:{', 'c:[]', 'c:{}', 'c:{"type":1}', 'c:{"type":"odd"}', 'c:{"type":"subscribe"}'];
      const wrong = [
        controlled('subscribe', { channel: 7 }),
        controlled('subscribe', { channel: '' }),
        controlled('session', { id: 'x' }),
      ];
      const socket = await opened(stage, nonsense.map((text) => event('TEXT', text)).join('') + wrong.join('') + own('well'));
      assert.equal(await socket.next(), 'TEXT well');
      await stage.quiet(300);
      assert.equal(socket.raw.ended, false);
    },
  },
];

const implicit: Case[] = [
  {
    id: '3.4-implicit-channel',
    rule: 'sub of a target subscribes every WebSocket, also without the extension',
    run: async (stage) => {
      stage.answer(accepting());
      const socket = await stage.open('', { host: 'sub.example' });
      await stage.joined(socket, 'implicit');
    },
  },
  {
    id: '3.4-cannot-be-left',
    rule: 'a channel of the route cannot be left',
    run: async (stage) => {
      stage.answer(accepting({ headers: grip, more: controlled('unsubscribe', { channel: 'implicit' }) }));
      const socket = await stage.open('', { host: 'sub.example' });
      await stage.quiet(300);
      await stage.joined(socket, 'implicit');
    },
  },
];

export const gripInWebsockets: Chapter = {
  number: 3,
  title: 'GRIP inside a WebSocket',
  cases: [switching, routing, controls, implicit].flat(),
};
