/** Clients that stop reading: what waits for them is bounded, what is left out is whole, chosen by the route, counted and told. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:tls';
import type { Log, LogFields } from '../../gateway/core/log.ts';
import { silentLog } from '../../gateway/core/log.ts';
import { serverCertificate, serverKey } from '../downstream/certificates.ts';
import { reply, text, type BackendReply } from '../support/backend.ts';
import { clientFrame, opcodes, RawSocket } from '../support/raw-socket.ts';
import { byPath, requestText, setHoldStage, stream, takeChunk } from './holds.ts';
import {
  acceptedWithGrip,
  clearStage,
  eventually,
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

const unsentBytes = 200_000;
/** As a frame it is 20000 bytes, so that ten fill the limit. */
const itemBytes = 19_996;
/** Nothing depends on it; a busy machine takes its time. */
const waitMs = 20_000;
/** More than the system's buffers take. */
const itemsMax = 1500;

const tlsPort = { host: '127.0.0.1', port: 0, tls: { cert: serverCertificate, key: serverKey } };

interface Line extends LogFields {
  readonly event: string;
  readonly level: string;
}

function logInto(lines: Line[]): Log {
  const at =
    (level: string) =>
    (event: string, fields: LogFields = {}): void =>
      void lines.push({ ...fields, event, level });
  return { ...silentLog, info: at('info'), warn: at('warn') };
}

/** One way of reading: a WebSocket, or a stream. */
interface Way {
  readonly name: string;
  connect(stage: Stage): Promise<RawSocket>;
  next(socket: RawSocket): Promise<string>;
  /** What a message is on the way from the client; undefined: it sends none. */
  readonly said?: string;
  /** What the route needs for it. */
  readonly route?: object;
  /** Items that find room in the session: the limit less what the socket is handed, in whole items. */
  readonly waiting: number;
}

const webSocket: Way = {
  name: 'a WebSocket',
  waiting: 7,
  said: 'x',
  connect: (stage) => stage.openRaw(),
  async next(socket) {
    const { opcode, payload } = await socket.takeFrame(waitMs);
    return opcode === opcodes.close ? `close ${payload.readUInt16BE()}` : payload.toString();
  },
};

const sockJs: Way = {
  name: 'SockJS over a WebSocket',
  waiting: 6, // A frame is some bytes longer than its content.
  said: '["x"]',
  route: { sockjs: { path: '/sock' } },
  async connect(stage) {
    const socket = await stage.openRaw({ path: '/sock/000/one/websocket' });
    assert.equal((await socket.takeFrame(waitMs)).payload.toString(), 'o');
    return socket;
  },
  async next(socket) {
    const content = await webSocket.next(socket);
    if (!content.startsWith('a')) return content;
    const [message = '', ...more] = JSON.parse(content.slice(1)) as string[];
    assert.equal(more.length, 0);
    return message;
  },
};

const secureWebSocket: Way = {
  ...webSocket,
  name: 'a WebSocket over TLS',
  async connect({ port }) {
    const socket = connect({ port, host: '127.0.0.1', ca: serverCertificate });
    await once(socket, 'secureConnect');
    const client = new RawSocket(socket);
    onClear(() => client.destroy());
    assert.equal((await client.handshake()).status, 101);
    return client;
  },
};

const eventStream: Way = {
  name: 'a stream',
  waiting: 6, // A chunk is 8 bytes longer than its content.
  async connect(stage) {
    const socket = await stage.connect();
    socket.send(requestText('/events'));
    await socket.takeHead();
    return socket;
  },
  next: (socket) => takeChunk(socket, waitMs),
};

const plainStream: Way = {
  name: 'a stream of HTTP/1.0',
  waiting: 7,
  async connect(stage) {
    const socket = await stage.connect();
    socket.send(requestText('/events', { version: '1.0' }));
    await socket.takeHead();
    return socket;
  },
  async next(socket) {
    const first = (await socket.takeUntil(' ', waitMs)).toString();
    if (!/^\d/.test(first)) return first.trim();
    return first + (await socket.take(itemBytes - first.length, waitMs)).toString();
  },
};

interface Scene {
  readonly stage: Stage;
  readonly way: Way;
  readonly slow: RawSocket;
  readonly lines: Line[];
  readonly id: string;
  /** Publishes the next item; the other reader takes it at once. */
  publish(channel?: string): Promise<void>;
  readonly published: number;
  readonly good: RawSocket;
  unsent(): Promise<number>;
  dropped(): Promise<number>;
}

/** A client that does not read, another that does, both in the same channels. */
async function setScene(slowClients: string, way: Way, terms: StageTerms = {}): Promise<Scene> {
  const lines: Line[] = [];
  const subscriptions = ['a', 'b'].map((channel) => text(`c:${JSON.stringify({ type: 'subscribe', channel })}`));
  const stage = await setStage({
    answer: (request) => {
      if (request.path.startsWith('/events')) return stream('a, b');
      return isOpening(request) ? acceptedWithGrip(subscriptions) : nothing;
    },
    log: logInto(lines),
    ...(way === secureWebSocket && { settings: { listen: [tlsPort] } }),
    ...terms,
    route: { slowClients, limits: { unsentBytes }, ...way.route, ...terms.route },
  });
  const slow = await way.connect(stage);
  await eventually(async () => (await stage.members('b')) === 1, waitMs);
  const [{ id }] = (await getJson(`${stage.controlUrl}/connections`)) as [{ id: string }];
  const good = await way.connect(stage);
  await eventually(async () => (await stage.members('b')) === 2, waitMs);
  slow.socket.pause();
  const scene = {
    stage,
    way,
    slow,
    good,
    lines,
    id,
    published: 0,
    async publish(channel = 'a') {
      const content = item(scene.published);
      scene.published += 1;
      await publishText(stage, channel, content);
      assert.equal(await way.next(good), content);
    },
    unsent: () => unsentOf(stage, id),
    dropped: () => droppedOn(stage),
  };
  return scene;
}

function item(number: number): string {
  const head = `${number} `;
  return head + 'x'.repeat(itemBytes - head.length);
}

/** Numbers of items, each whole; anything else as it is. */
function read(content: string): number | string {
  const number = Number.parseInt(content, 10);
  if (Number.isNaN(number)) return content.trim();
  assert.equal(content, item(number), 'an item is not whole');
  return number;
}

/** Everything the slow client gets up to and with `end`. */
async function readUntil({ way, slow }: Scene, end = 'end'): Promise<(number | string)[]> {
  const all: (number | string)[] = [];
  while (all.at(-1) !== end) all.push(read(await way.next(slow)));
  return all;
}

async function publishText(stage: Stage, channel: string, content: string): Promise<void> {
  await publishAs(stage, channel, { 'ws-message': { content }, 'http-stream': { content } });
}

async function publishAs(stage: Stage, channel: string, formats: object, more: object = {}): Promise<void> {
  const body = JSON.stringify({ items: [{ channel, ...more, formats }] });
  const response = await fetch(`${stage.controlUrl}/publish/`, { method: 'POST', body });
  assert.equal(response.status, 200, await response.text());
}

async function getJson(url: string): Promise<unknown> {
  return (await fetch(url)).json();
}

async function unsentOf({ controlUrl }: Stage, id: string): Promise<number> {
  const session = (await getJson(`${controlUrl}/connections/${id}`)) as { unsentBytes?: number };
  return session.unsentBytes ?? 0;
}

async function droppedOn({ controlUrl }: Stage): Promise<number> {
  const served = await (await fetch(`${controlUrl}/metrics`)).text();
  return Number(/^foregate_slow_client_drops_total\{route="test"\} (\d+)$/m.exec(served)?.[1] ?? 0);
}

/** Publishes until it is so. */
async function publishUntil(scene: Scene, check: () => Promise<boolean>, channel?: string): Promise<void> {
  while ((await scene.unsent()) === 0 || !(await check())) {
    assert.ok(scene.published < itemsMax, `${scene.published} items were not enough`);
    await scene.publish(channel);
  }
}

/** Publishes until something waits behind the socket, but nothing is left out. */
async function fallBehind(scene: Scene): Promise<void> {
  await publishUntil(scene, async () => (await scene.unsent()) >= 100_000);
  assert.equal(await scene.dropped(), 0);
}

/** The slow client reads again, and what waits goes to it in full; then one more item. */
async function readAgain(scene: Scene): Promise<(number | string)[]> {
  scene.slow.socket.resume();
  await eventually(async () => (await scene.unsent()) === 0, waitMs);
  await publishText(scene.stage, 'a', 'end ');
  assert.equal((await scene.way.next(scene.good)).trim(), 'end');
  return readUntil(scene);
}

const upTo = (end: number): number[] => Array.from({ length: end }, (_, i) => i);

/** The items from 0 on that are there without a gap, and what comes behind the gap. */
function split(numbers: readonly (number | string)[]): { readonly head: number; readonly tail: (number | string)[] } {
  const gap = numbers.findIndex((number, i) => number !== i);
  const head = gap < 0 ? numbers.length : gap;
  return { head, tail: numbers.slice(head) };
}

/** What comes behind the gap. */
const expected: Readonly<Record<string, (scene: Scene) => number[]>> = {
  'drop-newest': () => [],
  'drop-oldest': ({ published, way }) => upTo(published).slice(-way.waiting),
  latest: ({ published }) => [published - 1],
};

for (const way of [webSocket, sockJs, secureWebSocket, eventStream, plainStream]) {
  describe(`a slow client of ${way.name}`, () => {
    for (const [slowClients, tailOf] of Object.entries(expected)) {
      it(`loses whole items, stays bounded, is counted and told: ${slowClients}`, async function () {
        this.timeout(60_000);
        const scene = await setScene(slowClients, way);
        await publishUntil(scene, async () => (await scene.dropped()) >= 12);
        const unsent = await scene.unsent();
        assert.ok(unsent > 65_536 - 20_000 && unsent <= unsentBytes, `${unsent} bytes`);
        const received = await readAgain(scene);
        assert.equal(received.pop(), 'end');
        const { head, tail } = split(received);
        assert.ok(head > 3);
        assert.deepEqual(tail, tailOf(scene));
        const dropped = await scene.dropped();
        assert.equal(received.length + dropped, scene.published);
        const channels = await getJson(`${scene.stage.controlUrl}/channels?prefix=a`);
        assert.deepEqual(channels, [{ channel: 'a', subscribers: 2, dropped }]);
        scene.slow.destroy();
        await eventually(() => scene.lines.filter(({ event }) => event === 'client.slow').length === 2, waitMs);
        const told = scene.lines.filter(({ event }) => event === 'client.slow');
        const who = { session: scene.id, route: 'test', channel: 'a', address: '127.0.0.1', policy: slowClients };
        for (const line of told) assert.deepEqual({ ...line, ...who }, line);
        assert.deepEqual(
          told.map(({ level, state }) => [level, state]),
          [
            ['warn', 'began'],
            ['info', 'ended'],
          ],
        );
        assert.equal(told[0]?.['dropped'], 1);
        assert.equal(told[1]?.['dropped'], dropped);
      });
    }

    it('gets everything where it is only behind, and in order: nothing is counted or told', async function () {
      this.timeout(60_000);
      const scene = await setScene('drop-oldest', way);
      await fallBehind(scene);
      const received = await readAgain(scene);
      assert.deepEqual(received.slice(0, -1), upTo(scene.published));
      assert.equal(scene.lines.filter(({ event }) => event === 'client.slow').length, 0);
    });

    if (way === plainStream || way === secureWebSocket || way === sockJs) return;

    it('is slow again and again, and each time gets what comes later', async function () {
      this.timeout(60_000);
      const scene = await setScene('latest', way);
      for (let round = 1; round <= 2; round += 1) {
        const before = await scene.dropped();
        await publishUntil(scene, async () => (await scene.dropped()) > before);
        const received = await readAgain(scene);
        assert.deepEqual(received.slice(-2), [scene.published - 1, 'end']);
        scene.slow.socket.pause();
      }
    });
  });
}

describe('slow clients', () => {
  it('get the latest item of each channel', async function () {
    this.timeout(60_000);
    const scene = await setScene('latest', webSocket);
    await publishUntil(scene, async () => (await scene.dropped()) >= 4);
    for (const channel of ['b', 'a', 'b', 'a', 'a']) await scene.publish(channel);
    const { tail } = split(await readAgain(scene));
    assert.deepEqual(tail, [scene.published - 3, scene.published - 1, 'end']);
    const channels = (await getJson(`${scene.stage.controlUrl}/channels?prefix=b`)) as object[];
    assert.deepEqual(channels, [{ channel: 'b', subscribers: 2, dropped: 1 }]);
  });

  for (const [slowClients, way] of [
    ['drop-newest', webSocket],
    ['drop-oldest', webSocket],
    ['latest', webSocket],
    ['drop-oldest', sockJs],
  ] as const) {
    it(`get replies of the backend in their place, whatever is left out: ${slowClients} of ${way.name}`, async function () {
      this.timeout(60_000);
      const scene = await setScene(slowClients, way);
      scene.stage.backend.answer = () => reply([text('m:reply')]);
      await publishUntil(scene, async () => (await scene.unsent()) >= 80_000);
      await scene.publish('b'); // It still waits in the end, whichever goes.
      scene.slow.send(clientFrame(opcodes.text, way.said ?? ''));
      await scene.stage.backend.until(() => said(scene.stage.backend.events()).includes('TEXT x'), waitMs);
      await eventually(async () => (await messagesSent(scene.stage)) >= 1, waitMs);
      const border = scene.published;
      for (let i = 0; i < 5; i += 1) await scene.publish();
      assert.ok((await scene.dropped()) > 0);
      const received = await readAgain(scene);
      const at = received.indexOf('reply');
      assert.equal(received[at - 1], border - 1);
      assert.ok(received.slice(at + 1, -1).every((number) => Number(number) >= border));
    });
  }

  it('are not asked for more while what waits is at the limit, and are when they have taken it', async function () {
    this.timeout(60_000);
    const scene = await setScene('drop-oldest', webSocket);
    const { backend } = scene.stage;
    await publishUntil(scene, async () => (await scene.unsent()) === unsentBytes);
    scene.slow.send(clientFrame(opcodes.text, 'x'));
    for (let i = 0; i < 20; i += 1) await scene.publish();
    assert.deepEqual(said(backend.events()), ['OPEN', 'OPEN']);
    scene.slow.socket.resume();
    await backend.until(() => said(backend.events()).includes('TEXT x'), waitMs);
  });

  it('get a close frame behind what waits', async function () {
    this.timeout(60_000);
    const scene = await setScene('drop-oldest', webSocket);
    await fallBehind(scene);
    await publishAs(scene.stage, 'a', { 'ws-message': { action: 'close', code: 4001 } });
    await eventually(async () => (await scene.stage.members('a')) === 0, waitMs);
    scene.slow.socket.resume();
    assert.deepEqual(await readUntil(scene, 'close 4001'), [...upTo(scene.published), 'close 4001']);
  });

  it('get what waits before the connection ends without a close frame', async function () {
    this.timeout(60_000);
    const scene = await setScene('drop-oldest', webSocket);
    scene.stage.backend.answer = () => reply([{ kind: 'disconnect' }]);
    await fallBehind(scene);
    scene.slow.send(clientFrame(opcodes.text, 'x'));
    await scene.stage.backend.until(() => said(scene.stage.backend.events()).includes('TEXT x'), waitMs);
    scene.slow.socket.resume();
    for (let i = 0; i < scene.published; i += 1) assert.equal(read(await scene.way.next(scene.slow)), i);
    await scene.slow.takeEnd(waitMs);
    assert.equal(scene.slow.received.length, 0);
  });

  it('get the end of a stream behind what waits', async function () {
    this.timeout(60_000);
    const scene = await setScene('drop-oldest', eventStream);
    await fallBehind(scene);
    await publishAs(scene.stage, 'a', { 'http-stream': { action: 'close' } });
    await eventually(async () => (await scene.stage.members('a')) === 0, waitMs);
    scene.slow.socket.resume();
    assert.deepEqual(await readUntil(scene, ''), [...upTo(scene.published), '']);
  });

  it('are closed with 1013 where the route says close, and told of once', async function () {
    this.timeout(60_000);
    const scene = await setScene('close', webSocket);
    await publishUntil(scene, async () => (await scene.dropped()) > 0);
    scene.slow.socket.resume();
    const received = await readUntil(scene, 'close 1013');
    assert.deepEqual(received.slice(0, -1), upTo(received.length - 1));
    assert.equal(received.length - 1, scene.published - 1);
    assert.deepEqual(
      scene.lines.filter(({ event, state }) => event === 'client.slow' && state === 'began').map(({ session }) => session),
      [scene.id],
    );
  });

  for (const slowClients of ['drop-newest', 'drop-oldest', 'latest']) {
    it(`of streams with ids fetch by the link what found no room, and lose nothing: ${slowClients}`, async function () {
      this.timeout(60_000);
      let published = 0;
      const linked = (lastId: number, body: string): BackendReply =>
        stream(`a; prev-id=${lastId}`, { 'Grip-Link': '</more>; rel=next' }, body);
      const stage = await setHoldStage({
        answer: byPath({
          '/events': linked(-1, ''),
          '/more': ({ headers }) => {
            const lastId = Number(/^a; last-id=(-?\d+)$/.exec(String(headers['grip-last']))?.[1]);
            return linked(
              published - 1,
              upTo(published)
                .slice(lastId + 1)
                .map(item)
                .join(''),
            );
          },
        }),
        route: { slowClients, limits: { unsentBytes } },
      });
      const slow = await eventStream.connect(stage);
      await stage.joined('a');
      const [{ id }] = (await getJson(`${stage.controlUrl}/connections`)) as [{ id: string }];
      const good = await eventStream.connect(stage);
      await stage.joined('a', 2);
      const publish = async (): Promise<void> => {
        const ids = { id: String(published), 'prev-id': String(published - 1) };
        published += 1;
        await stage.streamed('a', item(published - 1), ids);
        assert.equal(await takeChunk(good, waitMs), item(published - 1));
      };
      slow.socket.pause();
      while ((await unsentOf(stage, id)) < 180_000) {
        assert.ok(published < itemsMax);
        await publish();
      }
      for (let i = 0; i < 5; i += 1) await publish();
      await pause(1200); // A request would be made within a second.
      assert.equal(stage.at('/more').length, 0);
      slow.socket.resume();
      await stage.backend.until(() => stage.at('/more').length === 1, waitMs);
      await eventually(async () => (await unsentOf(stage, id)) === 0, waitMs);
      await publish();
      const numbers: (number | string)[] = [];
      while (numbers.length < published) numbers.push(...((await takeChunk(slow, waitMs)).match(/\d+ x+/g) ?? []).map(read));
      assert.deepEqual(numbers, upTo(published));
      assert.equal(stage.at('/more').length, 1);
      assert.equal(await droppedOn(stage), 0);
    });
  }

  it('that flood with pings and do not take the pongs are not read', async function () {
    this.timeout(60_000);
    const stage = await setStage({ route: { pings: 'answer' } });
    const client = await stage.openRaw();
    const [{ id }] = (await getJson(`${stage.controlUrl}/connections`)) as [{ id: string }];
    client.socket.pause();
    const pings = Buffer.concat(Array.from({ length: 500 }, () => clientFrame(opcodes.ping, 'x'.repeat(125))));
    for (let i = 0; i < 400; i += 1) client.send(pings);
    await eventually(async () => (await unsentOf(stage, id)) >= 200_000, waitMs);
    const left = client.socket.writableLength;
    assert.ok(left > 5_000_000, `${left} bytes were left`);
    assert.ok((await unsentOf(stage, id)) < 400_000);
    let pongs = 0;
    client.socket.resume();
    for (; pongs < 200_000; pongs += 1) assert.equal((await client.takeFrame(waitMs)).opcode, opcodes.pong);
  });
});

async function messagesSent({ controlUrl }: Stage): Promise<number> {
  const served = await (await fetch(`${controlUrl}/metrics`)).text();
  return Number(/^foregate_messages_sent_total (\d+)$/m.exec(served)?.[1] ?? 0);
}
