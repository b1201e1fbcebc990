import assert from 'node:assert/strict';
import SockJS from 'sockjs-client';
import { isMessage } from '../../gateway/core/event.ts';
import { reply, text } from '../support/backend.ts';
import { acceptedWithGrip, afterOpen, clearStage, eventually, onClear, said, setStage, type Stage } from './stage.ts';

const route = { sockjs: { path: '/sock', asPath: '/ws' } };

interface SockJsClient {
  readonly socket: WebSocket;
  readonly messages: readonly string[];
  readonly closing: { readonly code: number; readonly reason: string } | undefined;
  opened(): Promise<void>;
  received(count: number): Promise<readonly string[]>;
  closed(): Promise<{ readonly code: number; readonly reason: string }>;
}

function sockJs({ url }: Stage, transport: string, path = '/sock'): SockJsClient {
  const socket = new SockJS(`${url}${path}`, undefined, { transports: [transport], timeout: 3000 });
  const messages: string[] = [];
  let closing: SockJsClient['closing'];
  let isOpen = false;
  socket.addEventListener('open', () => (isOpen = true));
  socket.addEventListener('message', ({ data }) => void messages.push(String(data)));
  socket.addEventListener('close', ({ code, reason }) => (closing = { code, reason }));
  onClear(() => socket.close());
  return {
    socket,
    messages,
    get closing() {
      return closing;
    },
    opened: () => eventually(() => isOpen),
    received: async (count) => {
      await eventually(() => messages.length >= count);
      return messages;
    },
    closed: async () => {
      await eventually(() => closing !== undefined, 8000); // An event source tries again until its time is over.
      return closing ?? { code: 0, reason: '' };
    },
  };
}

async function sessions({ controlUrl }: Stage): Promise<readonly { readonly path: string; readonly transport: string }[]> {
  return (await (await fetch(`${controlUrl}/connections`)).json()) as { path: string; transport: string }[];
}

for (const transport of ['websocket', 'xhr-polling', 'xhr-streaming', 'eventsource']) {
  describe(`the SockJS client by ${transport}`, function () {
    this.timeout(15_000);
    afterEach(clearStage);

    it('connects, and gets back what it sends, in its order', async () => {
      const stage = await setStage({ route });
      const client = sockJs(stage, transport);
      await client.opened();
      const sent = ['one', '', '"quotes" \\ and\nlines', 'zwölf 😀 \u2028 \u200c \uffff', '[]'];
      for (const message of sent) client.socket.send(message);
      assert.deepEqual(await client.received(sent.length), sent);
      client.socket.send('later');
      assert.deepEqual((await client.received(sent.length + 1)).at(-1), 'later');
    });

    it('is a WebSocket of the path `asPath` for the backend', async () => {
      const stage = await setStage({ route });
      const client = sockJs(stage, transport, '/sock?room=7');
      await client.opened();
      client.socket.send('hello');
      await client.received(1);
      const { requests } = stage.backend;
      assert.deepEqual(
        requests.map(({ method, path, events }) => `${method} ${path} ${said(events).join()}`),
        ['POST /ws?room=7 OPEN', 'POST /ws?room=7 TEXT hello'],
      );
      assert.equal(new Set(requests.map(({ headers }) => headers['connection-id'])).size, 1);
      const [session] = await sessions(stage);
      assert.deepEqual([session?.path, session?.transport], ['/ws', 'websocket']);
    });

    it('gets what is published, and nothing that is no text', async () => {
      const stage = await setStage({
        route,
        answer: afterOpen(
          () => reply([]),
          acceptedWithGrip([text('c:{"type":"subscribe","channel":"news"}'), text('m:welcome')]),
        ),
      });
      const client = sockJs(stage, transport);
      await client.received(1);
      await stage.say('news', 'first "item"');
      await stage.publish('news', { 'content-bin': Buffer.from([255, 0]).toString('base64') });
      await stage.publish('news', { 'content-bin': Buffer.from('text all the same').toString('base64') });
      await stage.publish('news', { type: 'ping', content: 'x' }).catch(() => undefined);
      await stage.say('news', 'last');
      await client.received(4);
      assert.deepEqual(client.messages, ['welcome', 'first "item"', 'text all the same', 'last']);
    });

    it('is told code and reason when the backend closes', async () => {
      const stage = await setStage({
        route,
        answer: afterOpen(({ events }) =>
          reply(events.some(isMessage) ? [text('bye'), { kind: 'close', code: 4001, reason: 'over "now"' }] : events),
        ),
      });
      const client = sockJs(stage, transport);
      await client.opened();
      client.socket.send('close, please');
      assert.deepEqual(await client.closed(), { code: 4001, reason: 'over "now"' });
      assert.deepEqual(client.messages, ['bye']);
      await eventually(() => stage.backend.events().at(-1)?.kind === 'close');
      assert.equal(stage.backend.events().filter(({ kind }) => kind === 'disconnect').length, 0);
    });

    it('is told when the backend fails', async () => {
      const stage = await setStage({ route, answer: afterOpen(() => ({ status: 500, body: 'no' })) });
      const client = sockJs(stage, transport);
      await client.opened();
      client.socket.send('hello');
      assert.equal((await client.closed()).code, 1011);
    });

    it('closes, and the backend hears of it', async () => {
      const stage = await setStage({ route });
      const client = sockJs(stage, transport);
      await client.opened();
      client.socket.send('hello');
      await client.received(1);
      // It must be waiting for more, or only its silence says that it left.
      await new Promise((resolve) => setTimeout(resolve, 100));
      client.socket.close();
      await stage.backend.until(() => ['close', 'disconnect'].includes(stage.backend.events().at(-1)?.kind ?? ''));
      await eventually(async () => (await sessions(stage)).length === 0);
    });

    it('does not open when the backend refuses', async () => {
      const stage = await setStage({ route, answer: () => ({ status: 403, body: 'no' }) });
      const client = sockJs(stage, transport);
      assert.equal((await client.closed()).code, 2000);
      assert.deepEqual(client.messages, []);
    });

    it('sends more while the session does not read, and loses nothing', async () => {
      const stage = await setStage({ route: { ...route, limits: { queueBytes: 10 } } });
      const client = sockJs(stage, transport);
      await client.opened();
      const sent = Array.from({ length: 40 }, (_, i) => `message number ${i}`);
      for (const message of sent.slice(0, 20)) client.socket.send(message);
      await client.received(1);
      for (const message of sent.slice(20)) client.socket.send(message);
      assert.deepEqual(await client.received(40), sent);
    });

    it('reaches a WebSocket backend', async () => {
      const inner = await setStage({});
      const stage = await setStage({ route, targets: [{ url: inner.url.replace('http', 'ws') }] });
      const client = sockJs(stage, transport);
      await client.opened();
      client.socket.send('through');
      assert.deepEqual(await client.received(1), ['through']);
    });
  });
}
