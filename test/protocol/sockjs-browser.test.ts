import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { chromium, type Browser, type Page } from 'playwright-core';
import type { ClientEvent } from '../../gateway/core/event.ts';
import { reply, text } from '../support/backend.ts';
import { need } from '../support/debian.ts';
import { acceptedWithGrip, afterOpen, clearStage, eventually, setStage, type Stage } from './stage.ts';

const script = readFileSync(createRequire(import.meta.url).resolve('sockjs-client/dist/sockjs.min.js'));

/** A page of another origin, and the script, for the page and for the iframe. */
async function startPages(): Promise<Server> {
  const server = createServer(({ url }, response) => {
    const isScript = url === '/sockjs.min.js';
    response.writeHead(200, { 'Content-Type': isScript ? 'text/javascript' : 'text/html' });
    response.end(isScript ? script : '<!DOCTYPE html><title>SockJS</title><body><script src="/sockjs.min.js"></script>');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

interface Outcome {
  readonly transport: string;
  readonly messages: readonly string[];
  readonly code: number;
}

/** Runs in the page: sends three messages, asks for the end, and tells how all of it went. */
function talk([url, transport]: readonly [string, string]): Promise<Outcome> {
  interface SockJsSocket extends WebSocket {
    readonly transport: string;
  }
  type Client = new (url: string, protocols: undefined, options: object) => SockJsSocket;
  const { SockJS } = globalThis as unknown as { SockJS: Client };
  return new Promise((resolve) => {
    const socket = new SockJS(url, undefined, { transports: [transport], timeout: 10_000 });
    const messages: string[] = [];
    let used = '';
    socket.addEventListener('open', () => {
      used = socket.transport;
      for (const message of ['one', 'zwölf 😀 \u2028', '"3"']) socket.send(message);
    });
    socket.addEventListener('message', ({ data }) => {
      messages.push(String(data));
      if (messages.length === 4) socket.send('close');
    });
    socket.addEventListener('close', ({ code }) => resolve({ transport: used, messages, code }));
  });
}

/** Echoes, but for the word that asks for the end. */
const answer = afterOpen(
  ({ events }) =>
    reply(
      events.flatMap((event): ClientEvent[] => (event.kind === 'text' && String(event.data) === 'close' ? [goodbye] : [event])),
    ),
  acceptedWithGrip([text('c:{"type":"subscribe","channel":"news"}')], { 'Sec-WebSocket-Extensions': 'grip; message-prefix=""' }),
);
const goodbye = { kind: 'close', code: 4001, reason: 'asked' } as const;

describe('SockJS in a browser', function () {
  this.timeout(30_000);
  let browser: Browser;
  let pages: Server;
  let page: Page;
  let origin: string;

  before(async () => {
    const args = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];
    browser = await chromium.launch({ executablePath: need('chromium'), args });
    pages = await startPages();
    origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`; // A TCP server has no other kind of address.
  });
  after(async () => {
    await browser?.close();
    pages?.close();
  });

  beforeEach(async () => {
    page = await browser.newPage();
    await page.goto(origin);
  });
  afterEach(async () => {
    await page.close();
    await clearStage();
  });

  async function converse(stage: Stage, transport: string): Promise<void> {
    const talking = page.evaluate(talk, [`${stage.url}/sock`, transport] as const);
    await stage.backend.until(() => stage.backend.events().length >= 4, 15_000);
    await eventually(async () => (await stage.members('news')) === 1);
    await stage.say('news', 'published');
    const { transport: used, messages, code } = await talking;
    assert.deepEqual(messages.toSorted(), ['one', 'zwölf 😀 \u2028', '"3"', 'published'].toSorted());
    assert.deepEqual([used, code], [transport, 4001]);
    assert.deepEqual([...new Set(stage.backend.requests.map(({ path }) => path))], ['/ws']);
  }

  for (const transport of ['websocket', 'xhr-streaming', 'xhr-polling', 'eventsource', 'jsonp-polling']) {
    it(`connects from another origin, echoes, hears what is published and ends by ${transport}`, async () => {
      const policies = [{ use: 'origin', allow: [origin], required: true }];
      await converse(await setStage({ route: { sockjs: { path: '/sock', asPath: '/ws' }, policies }, answer }), transport);
    });
  }

  it('does the same through the page for iframes, where it is of the origin of Foregate itself', async () => {
    const sockjs = { path: '/sock', asPath: '/ws', clientUrl: `${origin}/sockjs.min.js` };
    const stage = await setStage({ route: { sockjs }, answer });
    await converse(stage, 'iframe-xhr-polling');
    assert.equal(stage.backend.requests[0]?.headers.origin, stage.url);
  });
});
