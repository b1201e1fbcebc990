/** Chapter 5: filters. */
import assert from 'node:assert/strict';
import type { Case, Chapter } from './case.ts';
import type { HttpClient } from './connection.ts';
import { accepting, controlled, event, grip, stream } from './replies.ts';
import { allFormats, type Stage } from './stage.ts';

type Headers = Readonly<Record<string, string>>;

/** A stream on the case's channel with these filters, beside one without any that tells where the items end. */
async function filtered(stage: Stage, filters: string, headers: Headers = {}, host?: string): Promise<HttpClient> {
  const [filtering, open] = [`${stage.channel}; ${filters}`, `${stage.channel}-open`];
  stage.answer(stream(`${filtering}, ${open}`, headers));
  const client = await stage.send('', host === undefined ? {} : { host });
  await client.head();
  await client.text('[open]');
  await stage.joined(client, open);
  return client;
}

/** Publishes to the filters, then past them. */
async function publish(stage: Stage, content: string, meta: object = {}, more: object = {}): Promise<void> {
  await stage.publish({ channel: stage.channel, meta, formats: { 'http-stream': { content, ...more } } });
  await stage.publish({ channel: `${stage.channel}-open`, ...allFormats('|') });
}

/** An item that a filter fails for. */
const failing = {
  foregate: 'is left out, and the stream goes on',
  pushpin: 'ends the stream, in debug mode with a text (1.36); a WebSocket goes on',
  reason: 'one item that is wrong is no reason to lose those after it',
};

interface FilterTerms {
  readonly filters: string;
  readonly headers?: Headers;
  /** Content, meta, and more of the format. */
  readonly items: readonly (readonly [string, object?, object?])[];
  /** What the stream has of it; `|` is between the items. */
  readonly got: string;
  /** What it has in Pushpin, whose stream ends then. */
  readonly untilEnd?: string;
}

/** Publishes these, one after another. */
function passes(name: string, rule: string, terms: FilterTerms): Case {
  return {
    id: `5-${name}`,
    rule,
    ...(terms.untilEnd === undefined ? {} : { differs: failing }),
    run: async (stage) => {
      const client = await filtered(stage, terms.filters, terms.headers);
      for (const [content, meta, more] of terms.items) await publish(stage, content, meta, more);
      const ends = stage.kind === 'pushpin' && terms.untilEnd !== undefined;
      if (ends) assert.equal(await client.rest(), terms.untilEnd);
      else await client.text(terms.got);
    },
  };
}

const me = { 'Grip-Set-Meta': 'user="me"' };

const dropping: Case[] = [
  passes('skip-self', "skip-self drops what the subscriber's own user has sent", {
    filters: 'filter=skip-self',
    headers: me,
    items: [['mine', { sender: 'me' }], ['other', { sender: 'you' }], ['nobody']],
    got: '|other|nobody|',
  }),
  passes('skip-self-without-user', 'skip-self passes all where no user is known', {
    filters: 'filter=skip-self',
    items: [
      ['a', { sender: '' }],
      ['b', { sender: 'me' }],
    ],
    got: 'a|b|',
  }),
  passes('skip-users', 'skip-users drops what names the user in a list, trimmed', {
    filters: 'filter=skip-users',
    headers: me,
    items: [['a', { skip_users: 'you, me ,x' }], ['b', { skip_users: 'mee' }], ['c']],
    got: '|b|c|',
  }),
  {
    id: '5-require-sub',
    rule: 'require-sub drops what requires a channel that the connection is not subscribed to',
    run: async (stage) => {
      const client = await filtered(stage, 'filter=require-sub');
      await publish(stage, 'no', { require_sub: 'unknown' });
      await publish(stage, 'yes', { require_sub: `${stage.channel}-open` });
      await publish(stage, 'free');
      await client.text('|yes|free|');
    },
  },
  passes('several', 'filters run in order; all have to pass', {
    filters: 'filter=skip-self; filter=skip-users',
    headers: me,
    items: [
      ['a', { sender: 'me' }],
      ['b', { skip_users: 'me' }],
      ['c', { sender: 'you', skip_users: 'you' }],
    ],
    got: '||c|',
  }),
  passes('unknown', 'unknown filters are ignored', { filters: 'filter=odd', items: [['a']], got: 'a|' }),
  {
    id: '5-require-sub-websocket',
    rule: 'require-sub in a WebSocket, for a channel it is subscribed to',
    differs: { foregate: 'passes', pushpin: 'drops (1.36)', reason: 'a defect, mended in Pushpin 2.0' },
    run: async (stage) => {
      const other = `${stage.channel}-open`;
      const more =
        controlled('subscribe', { channel: stage.channel, filters: ['require-sub'] }) +
        controlled('subscribe', { channel: other });
      stage.answer(accepting({ headers: grip, more }));
      const socket = await stage.open();
      await stage.joined(socket, other);
      await stage.publish({ channel: stage.channel, meta: { require_sub: other }, ...allFormats('required') });
      await stage.publish({ channel: other, ...allFormats('end') });
      assert.equal(await socket.next(), stage.pick({ foregate: 'TEXT required', pushpin: 'TEXT end' }));
    },
  },
];

const changing: Case[] = [
  passes('var-subst', 'var-subst puts in values of the meta; %% is %', {
    filters: 'filter=var-subst',
    headers: { 'Grip-Set-Meta': 'user="me", n="7"' },
    items: [['%(user)s-%(n)s-100%%']],
    got: 'me-7-100%|',
  }),
  passes('var-subst-unknown', 'an unknown name or another directive drops the item', {
    filters: 'filter=var-subst',
    headers: me,
    items: [['%(nobody)s'], ['%d'], ['fine']],
    got: '||fine|',
    untilEnd: '',
  }),
  {
    id: '5-var-subst-not-of-body',
    rule: 'var-subst is for published items only, not for the first body',
    run: async (stage) => {
      stage.answer(stream(`${stage.channel}; filter=var-subst`, me, '%(user)s'));
      const client = await stage.send();
      await client.head();
      await client.text('%(user)s');
    },
  },
  {
    id: '5-build-id',
    rule: "build-id puts in the connection's id: the ids of its channels, that of the item included",
    run: async (stage) => {
      const [a, b] = [`${stage.channel}-a`, `${stage.channel}-b`];
      const link = { 'Grip-Link': `<${stage.path}/next>; rel=next`, 'Grip-Set-Meta': `id_format="%(${a})s-%(${b})s"` };
      const reply = stream(`${a}; prev-id=1; filter=build-id, ${b}; prev-id=7; filter=build-id`, link, '[open]');
      stage.answers({ '': reply, '/next': { ...reply, body: '' } });
      const client = await stage.send();
      await client.head();
      await client.text('[open]');
      await stage.publish({ channel: a, id: '2', 'prev-id': '1', ...allFormats('id: %I;') });
      await client.text('id: 2-7;');
    },
  },
  passes('build-id-text', 'build-id: %(text)I is the text itself, %% is %', {
    filters: 'filter=build-id',
    headers: { 'Grip-Set-Meta': 'id_format="x"' },
    items: [['%(abc)I %%']],
    got: 'abc %|',
  }),
  passes('build-id-quoted', 'build-id: a backslash in parentheses quotes the next character', {
    filters: 'filter=build-id',
    headers: { 'Grip-Set-Meta': 'id_format="x"' },
    items: [['%(a\\)b)I']],
    got: 'a)b|',
  }),
  passes('build-id-hex', 'build-id: id_encoding=hex writes the id in hex', {
    filters: 'filter=build-id',
    headers: { 'Grip-Set-Meta': 'id_format="AB", id_encoding="hex"' },
    items: [['%I %(CD)I']],
    got: '4142 4344|',
  }),
  {
    id: '5-build-id-no-format',
    rule: 'build-id without id_format',
    differs: {
      foregate: 'answers 502: the instruction cannot be used',
      pushpin: 'answers 200 and ends the stream without its first body',
      reason: 'an empty 200 looks like success',
    },
    run: async (stage) => {
      stage.answer(stream(`${stage.channel}; filter=build-id`));
      const client = await stage.send();
      const { status } = await client.head();
      const body = await client.rest();
      assert.deepEqual([status, body], stage.pick({ foregate: [502, 'Error while proxying to origin.\n'], pushpin: [200, ''] }));
    },
  },
  passes('build-id-odd', 'build-id: any other directive drops the item', {
    filters: 'filter=build-id',
    headers: { 'Grip-Set-Meta': 'id_format="x"' },
    items: [['%d'], ['ok']],
    got: '|ok|',
    untilEnd: '',
  }),
  {
    id: '5-build-id-body',
    rule: 'build-id applies to the first body, too',
    run: async (stage) => {
      stage.answer(stream(`${stage.channel}; filter=build-id`, { 'Grip-Set-Meta': 'id_format="x"' }, 'id: %(abc)I'));
      const client = await stage.send();
      await client.head();
      await client.text('id: abc');
    },
  },
  passes('content-filters', 'content-filters of an item has to be the list of filters that change content', {
    filters: 'filter=skip-self; filter=var-subst',
    headers: me,
    items: [
      ['equal', {}, { 'content-filters': ['var-subst'] }],
      ['other', {}, { 'content-filters': ['build-id'] }],
      ['none', {}, { 'content-filters': [] }],
      ['unsaid'],
    ],
    got: 'equal|||unsaid|',
    untilEnd: 'equal|',
  }),
  passes('content-filters-none', 'content-filters that the subscription does not have drops the item', {
    filters: 'filter=skip-self',
    items: [
      ['a', {}, { 'content-filters': ['var-subst'] }],
      ['b', {}, { 'content-filters': [] }],
    ],
    got: '|b|',
    untilEnd: '',
  }),
  ...(
    [
      ['http-check', { status: 200, headers: { Action: 'drop' } }, '|'],
      ['http-modify', { status: 200, body: 'changed' }, 'changed|'],
    ] as const
  ).map(([name, reply, got]): Case => ({
    id: `5-${name}`,
    rule: `${name} asks the URL in the meta (from Pushpin 2.0)`,
    absent: 'pushpin',
    known: 'it is off unless a route sets filterRequests, for which there is no option of Pushpin',
    run: async (stage) => {
      const open = `${stage.channel}-open`;
      const first = stream(`${stage.channel}; filter=${name}, ${open}`, { 'Grip-Set-Meta': `url="${stage.path}/filter"` });
      stage.answers({ '': first, '/filter': reply });
      const client = await stage.send();
      await client.head();
      await client.text('[open]');
      await stage.joined(client, open);
      await publish(stage, 'original');
      await client.text(got);
      assert.equal(stage.at('/filter')[0]?.method, 'POST');
    },
  })),
  {
    id: '5-debug',
    rule: 'in debug mode a filter that fails ends the stream with a text',
    run: async (stage) => {
      const client = await filtered(stage, 'filter=var-subst', {}, 'debug.example');
      await stage.publish({ channel: stage.channel, ...allFormats('%(nobody)s') });
      assert.match(await client.rest(), /\w+/);
    },
  },
  {
    id: '5-debug-content-filters',
    rule: 'in debug mode a mismatch of content-filters says which lists',
    run: async (stage) => {
      const client = await filtered(stage, 'filter=var-subst', {}, 'debug.example');
      const formats = { 'http-stream': { content: 'x', 'content-filters': ['build-id'] } };
      await stage.publish({ channel: stage.channel, formats });
      assert.match(await client.rest(), /content filter mismatch: subscription=var-subst message=build-id/);
    },
  },
  {
    id: '5-websocket',
    rule: 'filters of a WebSocket work the same: var-subst',
    run: async (stage) => {
      const meta = controlled('set-meta', { name: 'user', value: 'me' });
      const more = meta + controlled('subscribe', { channel: stage.channel, filters: ['var-subst'] }) + event('TEXT', 'm:ready');
      stage.answer(accepting({ headers: grip, more }));
      const socket = await stage.open();
      assert.equal(await socket.next(), 'TEXT ready');
      await stage.joined(socket);
      await stage.publish(
        { channel: stage.channel, ...allFormats('%(odd)s') },
        { channel: stage.channel, ...allFormats('I am %(user)s') },
      );
      assert.equal(await socket.next(), 'TEXT I am me');
    },
  },
];

export const filters: Chapter = { number: 5, title: 'Filters', cases: [dropping, changing].flat() };
