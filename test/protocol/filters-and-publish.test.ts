/** GRIP 3.3, 5 and 6.3, as WebSocket clients see them: publications of every kind, and what filters do to them. */
import assert from 'node:assert/strict';
import type { Message } from '../../gateway/core/event.ts';
import { echo, reply, text } from '../support/backend.ts';
import type { Client } from '../support/client.ts';
import { closeFrame, opcodes } from '../support/raw-socket.ts';
import { acceptedWithGrip, clearStage, eventually, isOpening, nothing, pause, said, setStage, type Stage } from './stage.ts';

afterEach(clearStage);

function control(type: string, members: object = {}): Message {
  return text(`c:${JSON.stringify({ type, ...members })}`);
}

/** A stage whose clients join the channel `a` with these filters and this metadata; `?name=value` adds metadata. */
function joining(filters: readonly string[] = [], meta: Readonly<Record<string, string>> = {}): Promise<Stage> {
  return setStage({
    answer: (request) => {
      if (!isOpening(request)) return echo(request);
      const own = Object.fromEntries(new URL(request.path, 'http://x').searchParams);
      const items = Object.entries({ ...meta, ...own }).map(([name, value]) => control('set-meta', { name, value }));
      return acceptedWithGrip([...items, control('subscribe', { channel: 'a', filters })]);
    },
  });
}

describe('publications (GRIP 6.3)', () => {
  it('reach every member of a channel, in order, and nobody else', async () => {
    const { backend, open, say } = await joining();
    const [one, two] = [await open(), await open()];
    backend.answer = () => acceptedWithGrip();
    const stranger = await open();
    for (let i = 0; i < 50; i += 1) await say('a', String(i));
    for (const client of [one, two]) for (let i = 0; i < 50; i += 1) assert.equal(await client.nextText(), String(i));
    await assert.rejects(stranger.next(50));
  });

  it('have the type that content, content-bin and type give them', async () => {
    const { openRaw, publish } = await joining();
    const client = await openRaw();
    await publish('a', { content: 'é' });
    await publish('a', { 'content-bin': 'AAH/' });
    await publish('a', { content: 'as binary', type: 'binary' });
    await publish('a', { 'content-bin': Buffer.from('as text').toString('base64'), type: 'text' });
    await publish('a', { content: 'p', type: 'ping' });
    await publish('a', { type: 'pong' });
    const frames = [];
    for (let i = 0; i < 6; i += 1) frames.push(await client.takeFrame());
    assert.deepEqual(
      frames.map(({ opcode }) => opcode),
      [opcodes.text, opcodes.binary, opcodes.binary, opcodes.text, opcodes.ping, opcodes.pong],
    );
    assert.deepEqual(
      frames.map(({ payload }) => payload.toString('latin1')),
      ['Ã©', '\x00\x01ÿ', 'as binary', 'as text', 'p', ''],
    );
  });

  it('make the backend be asked at once where the action is refresh', async () => {
    const { backend, open, publish } = await joining();
    await open();
    await open();
    await publish('a', { action: 'refresh' });
    await backend.until(() => backend.requests.length === 4);
    assert.deepEqual(
      backend.requests.slice(2).map(({ body }) => body.length),
      [0, 0],
    );
  });

  it('make no request on refresh after the client has closed', async () => {
    const { backend, openRaw, publish } = await joining();
    const later = backend.answer;
    backend.answer = (request) => (request.events[0]?.kind === 'open' ? later(request) : nothing);
    const client = await openRaw();
    client.send(closeFrame(1000));
    await client.takeEnd();
    await publish('a', { action: 'refresh' });
    await pause(30);
    assert.deepEqual(said(backend.events()), ['OPEN', 'CLOSE 1000']);
  });

  it('do nothing where the action is hint', async () => {
    const { open, publish, say } = await joining();
    const client = await open();
    await publish('a', { action: 'hint' });
    await say('a', 'next');
    assert.equal(await client.nextText(), 'next');
  });

  it('close clients, with a code that may be sent', async () => {
    const { open, publish } = await joining();
    for (const [code, expected] of [
      [4999, 4999],
      [1012, 1012],
    ] as const) {
      const client = await open();
      await publish('a', { action: 'close', code, reason: 'because' });
      assert.deepEqual(await client.closed(), { code: expected, reason: 'because' });
    }
  });

  for (const code of [0, 999, 1004, 1005, 1006, 1015, 5000]) {
    it(`neither break the connection nor the program by the close code ${code}`, async () => {
      const { open, publish } = await joining();
      const client = await open();
      await publish('a', { action: 'close', code }).catch(() => undefined);
      const again = await open();
      again.send('m:alive');
      assert.equal(await again.nextText(), 'alive');
      if (client.closing !== undefined) assert.equal(client.closing.code, 1000);
    });
  }

  it('come to a client between the answers of its backend, whole', async () => {
    const { open, say } = await joining();
    const client = await open();
    const published: string[] = [];
    const answered: string[] = [];
    client.socket.on('message', (data: Buffer) => (data.toString().startsWith('p') ? published : answered).push(data.toString()));
    for (let i = 0; i < 40; i += 1) {
      client.send(`m:a${i}`);
      await say('a', `p${i}`);
    }
    await eventually(() => published.length === 40 && answered.length === 40);
    assert.deepEqual(
      published,
      Array.from({ length: 40 }, (_, i) => `p${i}`),
    );
    assert.deepEqual(
      answered,
      Array.from({ length: 40 }, (_, i) => `a${i}`),
    );
  });
});

describe('filters (GRIP 5)', () => {
  /** Publishes `content`, then `end`; what the client got before it. */
  async function heard({ publish }: Stage, client: Client, content: string, item: object): Promise<string[]> {
    await publish('a', { content }, item);
    await publish('a', { content: 'end' });
    const messages: string[] = [];
    for (let message = await client.nextText(); message !== 'end'; message = await client.nextText()) messages.push(message);
    return messages;
  }

  it('skip-self keeps the items of a user from itself', async () => {
    const stage = await joining(['skip-self'], { user: 'alice' });
    const client = await stage.open();
    assert.deepEqual(await heard(stage, client, 'x', { meta: { sender: 'alice' } }), []);
    assert.deepEqual(await heard(stage, client, 'x', { meta: { sender: 'bob' } }), ['x']);
    assert.deepEqual(await heard(stage, client, 'x', {}), ['x']);
  });

  it('skip-users keeps them from the users of a list', async () => {
    const stage = await joining(['skip-users'], { user: 'alice' });
    const client = await stage.open();
    assert.deepEqual(await heard(stage, client, 'x', { meta: { skip_users: 'bob, alice ,carol' } }), []);
    assert.deepEqual(await heard(stage, client, 'x', { meta: { skip_users: 'bob' } }), ['x']);
  });

  it('require-sub wants another subscription', async () => {
    const stage = await joining(['require-sub']);
    const client = await stage.open();
    assert.deepEqual(await heard(stage, client, 'x', { meta: { require_sub: 'premium' } }), []);
    assert.deepEqual(await heard(stage, client, 'x', { meta: { require_sub: 'a' } }), ['x']);
  });

  it('var-subst puts in what set-meta set, in any case, and drops what it cannot make', async () => {
    const stage = await joining(['var-subst'], { User: 'ålice' });
    const client = await stage.open();
    assert.deepEqual(await heard(stage, client, 'hi %(user)s and %(USER)s, 100%%', {}), ['hi ålice and ålice, 100%']);
    assert.deepEqual(await heard(stage, client, '%(unknown)s', {}), []);
  });

  it('build-id makes the id of the item', async () => {
    const stage = await joining(['build-id'], { id_format: 'a-%(a)s' });
    assert.deepEqual(await heard(stage, await stage.open(), 'id: %I', { id: '7' }), ['id: a-7']);
  });

  it('unknown names are ignored, several run in order', async () => {
    const stage = await joining(['nonsense', 'skip-self', 'var-subst'], { user: 'u' });
    const client = await stage.open();
    assert.deepEqual(await heard(stage, client, '%(user)s', { meta: { sender: 'u' } }), []);
    assert.deepEqual(await heard(stage, client, '%(user)s', { meta: { sender: 'v' } }), ['u']);
  });

  it('content-filters must be those of the subscription', async () => {
    const stage = await joining(['var-subst'], { user: 'u' });
    const client = await stage.open();
    await stage.publish('a', { content: 'plain', 'content-filters': [] });
    await stage.publish('a', { content: 'for %(user)s', 'content-filters': ['var-subst'] });
    assert.equal(await client.nextText(), 'for u');
  });

  it('give each client its own content', async () => {
    const stage = await joining(['var-subst']);
    const [one, two] = [await stage.open('/?user=one'), await stage.open('/?user=two')];
    await stage.say('a', 'hi %(user)s');
    assert.deepEqual([await one.nextText(), await two.nextText()], ['hi one', 'hi two']);
  });

  it('forget metadata that is set without a value', async () => {
    const stage = await joining(['skip-self'], { user: 'alice' });
    const { backend } = stage;
    const opening = backend.answer;
    backend.answer = (request) =>
      request.events[0]?.kind === 'open' ? opening(request) : reply([control('set-meta', { name: 'user' }), text('m:ok')]);
    const client = await stage.open();
    client.send('x');
    assert.equal(await client.nextText(), 'ok');
    assert.deepEqual(await heard(stage, client, 'x', { meta: { sender: 'alice' } }), ['x']);
  });
});
