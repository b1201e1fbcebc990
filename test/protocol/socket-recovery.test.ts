/** Subscriptions inside a socket with ids: at a gap their link brings what is missing, and a client that comes back goes on where it was. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { WebSocketServer, type WebSocket } from 'ws';
import type { ClientEvent, Message } from '../../gateway/core/event.ts';
import { reply, text, type Answer, type BackendReply, type BackendRequest } from '../support/backend.ts';
import { refusedClient, type Client } from '../support/client.ts';
import {
  acceptedWithGrip,
  clearStage,
  eventually,
  gate,
  isOpening,
  nothing,
  onClear,
  pause,
  said,
  setStage,
  type Stage,
  type StageTerms,
} from './stage.ts';

afterEach(clearStage);

function control(type: string, members: object = {}): Message {
  return text(`c:${JSON.stringify({ type, ...members })}`);
}

const link = '/items?user=42';

/** A subscription of a client that has everything up to this id. */
const from = (id: string | undefined, more: object = { next: link }): Message =>
  control('subscribe', { channel: 'c', ...(id !== undefined && { 'prev-id': id }), ...more });

/** A link's answer: these texts, and the id of the last of them. */
const missed = (texts: readonly string[], id: string): BackendReply => reply([...texts.map((one) => text(`m:${one}`)), from(id)]);

interface Reliable extends Stage {
  /** Requests of the link. */
  readonly links: () => readonly BackendRequest[];
  /** Publishes an item whose content is its id, at once, whatever it follows. */
  item(id: string | undefined, previousId: string | undefined, channel?: string): Promise<void>;
}

interface ReliableTerms extends Omit<StageTerms, 'answer'> {
  /** What the client is subscribed to when it is accepted. */
  readonly open: readonly ClientEvent[];
  /** The answer of the link; a list is used up one by one. */
  readonly next?: Answer | readonly BackendReply[];
  /** What comes after the opening. */
  readonly later?: Answer;
}

async function setReliable({ open, next = [], later = () => nothing, ...terms }: ReliableTerms): Promise<Reliable> {
  const replies = typeof next === 'function' ? [] : [...next];
  const answerLink: Answer = typeof next === 'function' ? next : () => replies.shift() ?? { status: 500 };
  const stage = await setStage({
    answer: (request) =>
      request.path.startsWith('/items') ? answerLink(request) : isOpening(request) ? acceptedWithGrip(open) : later(request),
    ...terms,
  });
  return {
    ...stage,
    links: () => stage.backend.requests.filter(({ path }) => path.startsWith('/items')),
    item: (id, previousId, channel = 'c') =>
      stage.publish(
        channel,
        { content: `<${id ?? '-'}>` },
        { 'no-seq': true, ...(id !== undefined && { id }), ...(previousId !== undefined && { 'prev-id': previousId }) },
      ),
  };
}

async function take(client: Client, ...texts: readonly string[]): Promise<void> {
  for (const expected of texts) assert.equal(await client.nextText(), expected);
}

describe('a gap inside a socket', () => {
  it('makes the link be asked with the id the client has; nothing is lost, nothing comes twice, the order is kept', async () => {
    const stage = await setReliable({
      open: [from('7')],
      next: [missed(['8', '9', '10'], '10')],
      settings: { grip: { key: 'secret' } },
    });
    const client = await stage.open('/', { headers: { Cookie: 'a=b', Authorization: 'x' } });
    await eventually(async () => (await stage.members('c')) === 1);
    await stage.item('8', '7');
    await take(client, '<8>');
    await stage.item('10', '9');
    await take(client, '8', '9', '10');
    await stage.item('11', '10');
    await take(client, '<11>');
    const [request] = stage.links();
    assert.deepEqual([request?.method, request?.path, request?.headers['grip-last']], ['GET', link, 'c; last-id=8']);
    assert.equal(request?.headers.accept, 'application/websocket-events');
    assert.equal(request?.headers.host, stage.backend.requests[0]?.headers.host);
    assert.ok(request?.headers['grip-sig']);
    const names = Object.keys(request?.headers ?? {}).filter((name) => name !== 'connection');
    assert.deepEqual(names.toSorted(), ['accept', 'grip-feature', 'grip-last', 'grip-sig', 'host']);
    assert.equal(stage.links().length, 1);
  });

  it('is noticed at the subscription too, where the last id that is known is another one', async () => {
    const stage = await setReliable({
      open: [control('subscribe', { channel: 'c' })],
      later: () => reply([from('1')]),
      next: [missed(['2'], '2')],
    });
    const other = await stage.open();
    await eventually(async () => (await stage.members('c')) === 1);
    await stage.publish('c', { content: 'x' }, { id: '2', 'prev-id': '1' });
    await take(other, 'x');
    const client = await stage.open();
    client.send('subscribe me');
    await take(client, '2');
    assert.equal(stage.links()[0]?.headers['grip-last'], 'c; last-id=1');
  });

  it('does not ask the link again for what waits for an answer to a filter', async () => {
    const [linkAnswered, filterAnswered] = [gate(), gate()];
    const checked = (id: string): Message => from(id, { next: link, filters: ['http-check'] });
    const stage = await setReliable({
      open: [control('set-meta', { name: 'url', value: '/check' }), checked('1')],
      route: { filterRequests: 100 },
      next: async () => {
        await linkAnswered.passed;
        return reply([text('m:2'), text('m:3'), checked('3')]);
      },
      later: async ({ path }) => {
        if (path === '/check') await filterAnswered.passed;
        return path === '/check' ? {} : nothing;
      },
    });
    const client = await stage.open();
    const checks = (): readonly BackendRequest[] => stage.backend.requests.filter(({ path }) => path === '/check');
    await eventually(async () => (await stage.members('c')) === 1);
    await stage.publish('c', { content: '<3>' }, { id: '3', 'prev-id': '2', 'no-seq': true });
    await stage.backend.until(() => stage.links().length === 1);
    for (const id of ['4', '5']) await stage.publish('c', { content: `<${id}>` }, { id, 'prev-id': String(Number(id) - 1) });
    linkAnswered.open();
    await take(client, '2', '3');
    await stage.backend.until(() => checks().length === 1);
    await pause(1100); // A link is asked again after a second.
    assert.equal(stage.links().length, 1);
    filterAnswered.open();
    await take(client, '<4>', '<5>');
    assert.deepEqual(
      checks().map(({ headers }) => headers['grip-last']),
      ['c; last-id=3', 'c; last-id=4'],
    );
    assert.equal(stage.links().length, 1);
  });

  it('lets items of the channel wait while the link is asked, and those of others flow', async () => {
    const answered = gate();
    const stage = await setReliable({
      open: [from('1'), control('subscribe', { channel: 'other' })],
      next: async () => {
        await answered.passed;
        return missed(['2', '3', '4'], '4');
      },
    });
    const client = await stage.open();
    await eventually(async () => (await stage.members('other')) === 1);
    await stage.item('3', '2');
    await stage.backend.until(() => stage.links().length === 1);
    for (const id of [4, 5, 6]) await stage.item(String(id), String(id - 1));
    await stage.say('other', 'flows');
    await take(client, 'flows');
    await assert.rejects(client.next(100), /Waited/);
    answered.open();
    await take(client, '2', '3', '4', '<5>', '<6>');
    await stage.item('7', '6');
    await take(client, '<7>');
    await pause(1200);
    assert.equal(stage.links().length, 1); // The ids fit: nothing more is to be fetched.
  });

  it('is asked for once where many clients have the same, and for each where links or ids differ', async () => {
    const answered = gate();
    const stage = await setReliable({
      open: [],
      later: ({ events }) =>
        reply(events.flatMap((event) => (event.kind === 'text' ? [from('1', { next: event.data.toString() })] : []))),
      next: async ({ path }) => {
        await answered.passed;
        return missed([path], '2');
      },
    });
    const clients = [await stage.open(), await stage.open(), await stage.open()];
    for (const [i, client] of clients.entries()) client.send(i < 2 ? '/items?a' : '/items?b');
    await eventually(async () => (await stage.members('c')) === 3);
    await stage.item('3', '2');
    await stage.backend.until(() => stage.links().length === 2);
    await pause(100);
    answered.open();
    for (const [i, client] of clients.entries()) await take(client, i < 2 ? '/items?a' : '/items?b');
    assert.equal(stage.links().filter(({ path }) => path === '/items?a').length, 1);
  });

  it('that a backend does not know of yet is asked for once a second, not without a pause', async () => {
    const stage = await setReliable({ open: [from('1')], next: () => nothing });
    const client = await stage.open();
    await eventually(async () => (await stage.members('c')) === 1);
    await stage.publish('c', { content: 'x' }, { id: '3', 'prev-id': '2' });
    await pause(1500);
    const { length } = stage.links();
    assert.ok(length >= 1 && length <= 2, `${length} requests`);
    assert.equal(client.closing, undefined);
  });

  it('is filled although the link fails at first', async () => {
    const stage = await setReliable({
      open: [from('1')],
      next: [{ status: 503 }, { headers: { 'Content-Type': 'text/plain' }, body: 'no events' }, missed(['2', '3'], '3')],
    });
    const client = await stage.open();
    await eventually(async () => (await stage.members('c')) === 1);
    await stage.item('3', '2');
    assert.equal(await client.nextText(8000), '2');
    await take(client, '3');
    assert.equal(stage.links().length, 3);
    await stage.item('4', '3');
    await take(client, '<4>');
  });

  it('ends the connection with 4410 where the backend says that the id is not known, or gave no link', async () => {
    for (const more of [{ next: link }, {}]) {
      const stage = await setReliable({ open: [from('1', more)], next: [{ status: 410 }], route: { closeFrames: false } });
      const client = await stage.open();
      await eventually(async () => (await stage.members('c')) === 1);
      await stage.item('3', '2');
      assert.deepEqual(await client.closed(), {
        code: 4410,
        reason: "Load anew: what came after id '1' of channel 'c' is not known.",
      });
      await stage.backend.until(() => said(stage.backend.events()).includes('DISCONNECT'));
      assert.equal(stage.links().length, 'next' in more ? 1 : 0);
    }
  });

  it('is not looked for after an item without an id; one without a previous id is one', async () => {
    const stage = await setReliable({ open: [from('1')], next: [missed(['2'], '2')] });
    const client = await stage.open();
    await eventually(async () => (await stage.members('c')) === 1);
    await stage.item('2', undefined);
    await take(client, '2');
    await stage.item(undefined, '2');
    await stage.item('9', '8');
    await take(client, '<->', '<9>');
    assert.equal(stage.links().length, 1);
  });

  it('is none where an action has no ids: it takes effect', async () => {
    const stage = await setReliable({ open: [from('1')] });
    const client = await stage.open();
    await eventually(async () => (await stage.members('c')) === 1);
    await stage.publish('c', { action: 'refresh' });
    await stage.backend.until(() => stage.backend.requests.length === 2);
    await stage.item('2', '1');
    await take(client, '<2>');
    await stage.publish('c', { action: 'close', code: 4000, reason: 'bye' });
    assert.deepEqual(await client.closed(), { code: 4000, reason: 'bye' });
    assert.equal(stage.links().length, 0);
  });

  it('is looked for with POST /recover/ where no ids tell of it', async () => {
    const stage = await setReliable({ open: [from('1')], next: [missed(['2'], '2')] });
    const client = await stage.open();
    await eventually(async () => (await stage.members('c')) === 1);
    await fetch(`${stage.controlUrl}/recover/`, { method: 'POST' });
    await take(client, '2');
    assert.equal(stage.links()[0]?.headers['grip-last'], 'c; last-id=1');
  });

  it('is filled in a channel of the route prefix, which the backend is not told', async () => {
    const stage = await setReliable({ open: [from('1')], next: [missed(['2'], '2')], route: { channelPrefix: 'p-' } });
    const client = await stage.open();
    await eventually(async () => (await stage.members('p-c')) === 1);
    await stage.item('3', '2', 'p-c');
    await take(client, '2');
    assert.equal(stage.links()[0]?.headers['grip-last'], 'c; last-id=1');
  });

  it('is how a slow client gets what it had no room for, once it has taken the rest', async function () {
    this.timeout(20_000);
    let last = 0;
    const stage = await setReliable({
      open: [from('0')],
      next: () => missed(['all that was left out'], String(last)),
      route: { slowClients: 'drop-newest', limits: { unsentBytes: 50_000 } },
    });
    const client = await stage.openRaw();
    await eventually(async () => (await stage.members('c')) === 1);
    client.socket.pause();
    const content = 'x'.repeat(200_000);
    const publish = (id: number, item: string): Promise<void> => {
      last = id;
      return stage.publish('c', { content: item }, { id: String(id), 'prev-id': String(id - 1) });
    };
    for (let id = 1; id <= 100; id += 1) await publish(id, content);
    client.socket.resume();
    await client.takeUntil('all that was left out', 10_000);
    const had = Number(/last-id=(\d+)/.exec(String(stage.links()[0]?.headers['grip-last']))?.[1]);
    assert.ok(had > 0 && had < last, `${had} of ${last}`);
    await publish(101, 'the next');
    await client.takeUntil('the next');
    assert.equal(stage.links().length, 1);
  });
});

describe('the answer of a link inside a socket', () => {
  it('may be empty: the subscription goes on as it was', async () => {
    const stage = await setReliable({ open: [from('1')], next: [nothing] });
    const client = await stage.open();
    await eventually(async () => (await stage.members('c')) === 1);
    await fetch(`${stage.controlUrl}/recover/`, { method: 'POST' });
    await stage.backend.until(() => stage.links().length === 1);
    await stage.item('2', '1');
    await take(client, '<2>');
  });

  it('must say where it goes on if it has messages, since they would come again', async () => {
    const stage = await setReliable({ open: [from('1')], next: [reply([text('m:2')])] });
    const client = await stage.open();
    await eventually(async () => (await stage.members('c')) === 1);
    await stage.item('3', '2');
    await take(client, '2');
    assert.equal((await client.closed()).code, 1011);
  });

  it('may give another link, and may end the checks or the subscription', async () => {
    const stage = await setReliable({
      open: [from('1')],
      next: [reply([text('m:2'), from('2', { next: '/items?page=2' })]), reply([text('m:4'), from(undefined, {})])],
    });
    const client = await stage.open();
    await eventually(async () => (await stage.members('c')) === 1);
    await stage.item('3.1', '2.1');
    await take(client, '2');
    await pause(1000);
    await stage.item('5.1', '4.1');
    await take(client, '4');
    await stage.item('9', '8');
    await take(client, '<9>');
    assert.deepEqual(
      stage.links().map(({ path }) => path),
      [link, '/items?page=2'],
    );
    const leaving = await setReliable({
      open: [from('1')],
      next: [reply([text('m:end'), control('unsubscribe', { channel: 'c' })])],
    });
    const left = await leaving.open();
    await eventually(async () => (await leaving.members('c')) === 1);
    await leaving.item('3', '2');
    await take(left, 'end');
    await eventually(async () => (await leaving.members('c')) === 0);
    assert.equal(left.closing, undefined);
  });

  it('keeps the link where it gives none', async () => {
    const stage = await setReliable({ open: [from('1')], next: [reply([text('m:2'), from('2', {})]), missed(['3'], '3')] });
    const client = await stage.open();
    await eventually(async () => (await stage.members('c')) === 1);
    await stage.item('2.5', '2.4');
    await take(client, '2');
    await pause(1000);
    await stage.item('3.5', '3.4');
    await take(client, '3');
    assert.equal(stage.links()[1]?.path, link);
  });

  it('may close the connection', async () => {
    const stage = await setReliable({
      open: [from('1')],
      next: [reply([text('m:sorry'), { kind: 'close', code: 4001, reason: 'reload' }])],
    });
    const client = await stage.open();
    await eventually(async () => (await stage.members('c')) === 1);
    await stage.item('3', '2');
    await take(client, 'sorry');
    assert.deepEqual(await client.closed(), { code: 4001, reason: 'reload' });
  });

  for (const [what, answer] of [
    ['is malformed', { headers: { 'Content-Type': 'application/websocket-events' }, body: 'TEXT' }],
    ['begins with OPEN', reply([{ kind: 'open' }])],
    ['has text that is not UTF-8', reply([{ kind: 'text', data: Buffer.from([0x6d, 0x3a, 0xff]) }])],
  ] as const) {
    it(`ends the connection with 1011 if it ${what}`, async () => {
      const stage = await setReliable({ open: [from('1')], next: [answer] });
      const client = await stage.open();
      await eventually(async () => (await stage.members('c')) === 1);
      await stage.item('3', '2');
      assert.equal((await client.closed()).code, 1011);
    });
  }

  it('is of no use once the client was subscribed anew, or has left the channel', async () => {
    for (const [again, expected] of [
      [from('3'), ['<4>']],
      [control('unsubscribe', { channel: 'c' }), []],
    ] as const) {
      const answered = gate();
      const stage = await setReliable({
        open: [from('1')],
        later: () => reply([text('m:anew'), again]),
        next: async () => {
          await answered.passed;
          return missed(['2', '3'], '3');
        },
      });
      const client = await stage.open();
      await eventually(async () => (await stage.members('c')) === 1);
      await stage.item('3', '2');
      await stage.backend.until(() => stage.links().length === 1);
      client.send('x');
      await take(client, 'anew');
      await stage.item('4', '3');
      answered.open();
      await take(client, ...expected);
      await assert.rejects(client.next(100), /Waited/);
    }
  });

  it('means nothing to a client that has left', async () => {
    const answered = gate();
    const stage = await setReliable({
      open: [from('1')],
      next: async () => {
        await answered.passed;
        return missed(['2'], '2');
      },
    });
    const client = await stage.open();
    await eventually(async () => (await stage.members('c')) === 1);
    await stage.item('3', '2');
    await stage.backend.until(() => stage.links().length === 1);
    client.socket.terminate();
    await stage.backend.until(() => said(stage.backend.events()).includes('DISCONNECT'));
    answered.open();
    await pause(50);
    assert.equal(await stage.members('c'), 0);
  });
});

describe('a client that comes back', () => {
  const said7 = 'c; last-id=7';
  for (const [where, path, headers] of [
    ['in a header field', '/chat?x=1', { 'Foregate-Last': said7 }],
    ['in the query', `/chat?foregate-last=${encodeURIComponent(said7)}&x=1`, {}],
    ['in a form-encoded query', `/chat?x=1&${new URLSearchParams({ 'foregate-last': said7 }).toString()}`, {}],
  ] as const) {
    it(`says what it has ${where}: the backend gets it with OPEN alone, and the link brings what came after`, async () => {
      const stage = await setReliable({ open: [from(undefined)], next: [missed(['8', '9'], '9')] });
      const client = await stage.open(path, { headers });
      await take(client, '8', '9');
      await stage.item('10', '9');
      await take(client, '<10>');
      client.send('x');
      await stage.backend.until(() => stage.backend.requests.length === 3);
      const [open, next, later] = stage.backend.requests;
      assert.deepEqual([open?.path, open?.headers['grip-last']], ['/chat?x=1', 'c; last-id=7']);
      assert.deepEqual([next?.path, next?.headers['grip-last']], [link, 'c; last-id=7']);
      assert.deepEqual([later?.path, later?.headers['grip-last']], ['/chat?x=1', undefined]);
      for (const request of stage.backend.requests) assert.equal(request.headers['foregate-last'], undefined);
    });
  }

  it('with the last id there is goes on at once', async () => {
    const stage = await setReliable({ open: [from(undefined)] });
    const other = await stage.open();
    await eventually(async () => (await stage.members('c')) === 1);
    await stage.publish('c', { content: 'x' }, { id: '7', 'prev-id': '6' });
    await take(other, 'x');
    const client = await stage.open('/', { headers: { 'Foregate-Last': 'c; last-id=7' } });
    await eventually(async () => (await stage.members('c')) === 2);
    await stage.item('8', '7');
    await take(client, '<8>');
    assert.equal(stage.links().length, 0);
  });

  it('gets what the backend says at the opening, whose own id counts', async () => {
    const stage = await setReliable({ open: [text('m:8'), from('8')] });
    const client = await stage.open('/', { headers: { 'Foregate-Last': 'c; last-id=7' } });
    await take(client, '8');
    await stage.item('9', '8');
    await take(client, '<9>');
    assert.equal(stage.links().length, 0);
  });

  it('has said it for the first subscription: a later one is like any other', async () => {
    const stage = await setReliable({
      open: [from('8')],
      later: () => reply([control('unsubscribe', { channel: 'c' }), from(undefined), text('m:again')]),
    });
    const client = await stage.open('/', { headers: { 'Foregate-Last': 'c; last-id=7' } });
    client.send('x');
    await take(client, 'again');
    await stage.item('20', '19');
    await take(client, '<20>');
    assert.equal(stage.links().length, 0);
  });

  it('is told in so many words where nobody can say what it missed', async () => {
    for (const terms of [{ open: [from(undefined, {})] }, { open: [from(undefined)], next: [{ status: 410 }] }]) {
      const stage = await setReliable(terms);
      const client = await stage.open('/', { headers: { 'Foregate-Last': 'c; last-id=old' } });
      assert.deepEqual(await client.closed(), {
        code: 4410,
        reason: "Load anew: what came after id 'old' of channel 'c' is not known.",
      });
    }
  });

  it('may say it of several channels, in one field or more; each counts until it is subscribed to, however late', async () => {
    const stage = await setReliable({
      open: [],
      later: ({ events }) =>
        reply(
          events.flatMap((event) =>
            event.kind === 'text' ? [control('subscribe', { channel: event.data.toString(), next: link })] : [],
          ),
        ),
      next: ({ headers }) => {
        const [channel = ''] = String(headers['grip-last']).split(';');
        return reply([text(`m:${String(headers['grip-last'])}`), control('subscribe', { channel, 'prev-id': 'new' })]);
      },
    });
    const client = await stage.open('/?foregate-last=b;last-id%3D2', {
      headers: { 'Foregate-Last': 'a; last-id="1;x", \u00c3\u00bc; last-id=3' },
    });
    assert.equal(stage.backend.requests[0]?.headers['grip-last'], 'b; last-id=2, a; last-id="1;x", \u00c3\u00bc; last-id=3');
    for (const [channel, expected] of [
      ['a', 'a; last-id="1;x"'],
      ['b', 'b; last-id=2'],
    ] as const) {
      client.send(channel);
      await take(client, expected);
    }
    client.send('d');
    await eventually(async () => (await stage.members('d')) === 1);
    assert.equal(stage.links().length, 2);
  });

  it('is refused with 400 if that is not valid, and the backend hears nothing of it', async () => {
    const stage = await setReliable({ open: [] });
    const url = stage.url.replace(/^http/, 'ws');
    const many = Array.from({ length: 21 }, (_, i) => `c${i}; last-id=1`).join(', ');
    for (const value of [
      '',
      'c',
      'c; id=7',
      '; last-id=7',
      'c; last-id="7',
      many,
      `c; last-id=${'x'.repeat(1025)}`,
      `${'c'.repeat(1025)}; last-id=1`,
    ]) {
      const refusal = await refusedClient(url, { headers: { 'Foregate-Last': value } });
      assert.equal(refusal.status, 400, value);
      assert.match(refusal.body, /Foregate-Last/);
    }
    for (const value of [
      '',
      'c',
      'c%0D%0AX-Evil: 1; last-id=7',
      'c; last-id=7%0d%0aX: 1',
      '%ff; last-id=1',
      '%; last-id=1',
      'c%00; last-id=1',
    ])
      assert.equal((await refusedClient(`${url}/?foregate-last=${value.replaceAll(' ', '+')}`)).status, 400, value);
    assert.equal(stage.backend.requests.length, 0);
    await stage.open('/', { headers: { 'Foregate-Last': 'c; last-id=1, c; last-id=2' } });
    assert.equal(stage.backend.requests[0]?.headers['grip-last'], 'c; last-id=2');
  });

  it('cannot say it as the backend hears it, nor on a route without GRIP', async () => {
    const stage = await setReliable({ open: [from(undefined)] });
    await stage.open('/', { headers: { 'Grip-Last': 'c; last-id=7' } });
    assert.equal(stage.backend.requests[0]?.headers['grip-last'], undefined);
    assert.equal(stage.links().length, 0);
    const plain = await setReliable({ open: [], route: { grip: false } });
    await plain.open('/?foregate-last=x', { headers: { 'Foregate-Last': 'not valid' } });
    assert.deepEqual(
      [plain.backend.requests[0]?.path, plain.backend.requests[0]?.headers['foregate-last']],
      ['/?foregate-last=x', 'not valid'],
    );
  });

  it('is like any other where it says nothing', async () => {
    const stage = await setReliable({ open: [from(undefined)] });
    const client = await stage.open('/?a=foregate-last');
    await eventually(async () => (await stage.members('c')) === 1);
    await stage.item('9', '8');
    await stage.item('3', '2');
    await take(client, '<9>', '<3>');
    assert.equal(stage.backend.requests.length, 1);
    assert.equal(stage.backend.requests[0]?.headers['grip-last'], undefined);
  });
});

describe('ids in a subscription', () => {
  it('stay as they are where the backend subscribes again with the link alone, and go where it gives neither', async () => {
    const answered = gate();
    const stage = await setReliable({
      open: [from('1')],
      later: ({ events }) => reply([events.length > 0 ? from(undefined) : from(undefined, {}), text('m:ok')]),
      next: async () => {
        await answered.passed;
        return missed(['2', '3'], '3');
      },
    });
    const client = await stage.open();
    await eventually(async () => (await stage.members('c')) === 1);
    await stage.item('3', '2');
    await stage.backend.until(() => stage.links().length === 1);
    client.send('x');
    await take(client, 'ok');
    answered.open();
    await take(client, '2', '3');
    await stage.item('4', '3');
    await take(client, '<4>');
    await stage.refresh(String(stage.backend.requests[0]?.headers['connection-id']));
    await take(client, 'ok');
    await stage.item('9', '8');
    await take(client, '<9>');
    assert.equal(stage.links().length, 1);
  });

  for (const more of [
    { 'prev-id': 7 },
    { 'prev-id': 'x'.repeat(1025) },
    { next: 5 },
    { next: 'a b' },
    { next: 'ftp://x/' },
    { next: `/${'x'.repeat(4096)}` },
  ]) {
    it(`that cannot be used leave it unsaid: ${JSON.stringify(more).slice(0, 40)}`, async () => {
      const stage = await setReliable({ open: [control('subscribe', { channel: 'c', ...more }), text('m:ok')] });
      await take(await stage.open(), 'ok');
      assert.equal(await stage.members('c'), 0);
    });
  }

  it('may begin with an empty one: nothing was published yet', async () => {
    const stage = await setReliable({ open: [from('')], next: [missed(['1', '2'], '2')] });
    const client = await stage.open();
    await eventually(async () => (await stage.members('c')) === 1);
    await stage.item('2', '1');
    await take(client, '1', '2');
    assert.equal(stage.links()[0]?.headers['grip-last'], 'c; last-id=""');
  });
});

describe('clients of a channel with ids', () => {
  it('get every item once and in order, though items get lost and cross, links fail and connections break', async function () {
    this.timeout(60_000);
    const count = 120;
    let newest = 0;
    let asked = 0;
    const answerLink: Answer = async ({ headers }) => {
      asked += 1;
      if (asked % 5 === 0) return { status: 503 };
      const last = Number(/last-id=(\d+)/.exec(String(headers['grip-last']))?.[1]);
      const until = newest;
      await pause(30);
      return missed(
        Array.from({ length: until - last }, (_, i) => `<${last + 1 + i}>`),
        String(until),
      );
    };
    const stage = await setReliable({
      open: [from(undefined)],
      next: answerLink,
      settings: { publish: { waitForEarlier: '100ms' } },
    });
    const seen: number[][] = [[], [], []];
    const sockets: Client[] = [];
    const connect = async (i: number): Promise<void> => {
      const own = seen[i] ?? assert.fail();
      const client = await stage.open(`/?foregate-last=c;last-id=${own.at(-1) ?? 0}`);
      sockets[i] = client;
      for (;;) own.push(Number((await client.nextText(60_000)).slice(1, -1)));
    };
    const keepConnected = async (i: number): Promise<void> => {
      while ((seen[i]?.at(-1) ?? 0) < count) await connect(i).catch(() => undefined);
    };
    const clients = [0, 1, 2].map(keepConnected);
    const publish = (id: number) => stage.publish('c', { content: `<${id}>` }, { id: String(id), 'prev-id': String(id - 1) });
    for (let id = 1; id <= count; id += 1) {
      newest = id;
      const isLost = id % 9 === 0 && id < count;
      const comesLate = id % 11 === 0;
      if (comesLate) setTimeout(() => void publish(id).catch(() => undefined), 40);
      else if (!isLost) await publish(id);
      if (id % 25 === 0) sockets[id % 3]?.socket.terminate();
      await pause(25);
    }
    await eventually(() => seen.every((own) => own.at(-1) === count), 30_000);
    for (const { socket } of sockets) socket.terminate();
    await Promise.all(clients);
    const all = Array.from({ length: count }, (_, i) => i + 1);
    assert.deepEqual(seen, [all, all, all]);
  });
});

describe('a relayed session', () => {
  it('recovers in the same way', async () => {
    const requests: (readonly [path: string, last: string | undefined])[] = [];
    const server = createServer((request, response) => {
      requests.push([request.url ?? '', String(request.headers['grip-last'])]);
      const { headers = {}, body } = missed(['8', '9'], '9');
      response.writeHead(200, headers);
      response.end(body);
    });
    const sockets: WebSocket[] = [];
    const accepting = new WebSocketServer({ noServer: true });
    accepting.on('headers', (lines) => void lines.push('Sec-WebSocket-Extensions: grip'));
    server.on('upgrade', (request, socket, head) => {
      requests.push([request.url ?? '', String(request.headers['grip-last'])]);
      accepting.handleUpgrade(request, socket, head, (accepted) => {
        sockets.push(accepted);
        accepted.send(`c:${JSON.stringify({ type: 'subscribe', channel: 'c', next: link })}`);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onClear(() => {
      for (const socket of sockets) socket.terminate();
      server.close();
      server.closeAllConnections();
    });
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const stage = await setReliable({ open: [], targets: [{ url: `ws://127.0.0.1:${port}` }] });
    const client = await stage.open('/', { headers: { 'Foregate-Last': 'c; last-id=7' } });
    await take(client, '8', '9');
    await stage.item('10', '9');
    await take(client, '<10>');
    assert.deepEqual(requests, [
      ['/', 'c; last-id=7'],
      [link, 'c; last-id=7'],
    ]);
  });
});
