import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { chromium, type Browser, type Locator, type Page } from 'playwright-core';
import { need } from '../support/debian.ts';
import { startProcess, type Process } from '../support/processes.ts';

const quiet = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const floodMessages = 30;

async function startDemo(...args: string[]): Promise<Process & { readonly url: string }> {
  const demo = startProcess(process.execPath, ['examples/demo.ts', ...args]);
  const url = await printed(demo, /open {2}(http:\S+)/);
  return { ...demo, url };
}

/** Waits until the output has it; the first group. */
async function printed(demo: Process, pattern: RegExp): Promise<string> {
  for (let i = 0; i < 400; i += 1) {
    const found = pattern.exec(demo.output())?.[1];
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`The demo did not start:\n${demo.output()}`);
}

const pane = (page: Page, title: string): Locator => page.getByRole('region', { name: `Chat of ${title}` });
const frames = (page: Page, title: string): Locator => pane(page, title).getByRole('log');

async function connect(page: Page, title: string): Promise<void> {
  await pane(page, title)
    .getByRole('button', { name: `Connect ${title}` })
    .click();
  await pane(page, title).getByText('connected', { exact: true }).waitFor();
}

async function say(page: Page, title: string, text: string): Promise<void> {
  await page.getByLabel(`Message of ${title}`, { exact: true }).fill(text);
  await pane(page, title).getByRole('button', { name: 'Send', exact: true }).click();
}

describe('the demo in a browser', function () {
  this.timeout(30_000);
  let demo: Awaited<ReturnType<typeof startDemo>>;
  let browser: Browser;
  let page: Page;
  let faults: string[];

  before(async () => {
    browser = await chromium.launch({ executablePath: need('chromium'), args: ['--headless', '--no-sandbox', ...quiet] });
  });
  after(() => browser?.close());

  beforeEach(async () => {
    demo = await startDemo('--port', '0');
    page = await browser.newPage();
    page.setDefaultTimeout(8000);
    faults = [];
    page.on('console', (message) => void (message.type() === 'error' && faults.push(message.text())));
    page.on('pageerror', (error) => void faults.push(error.message));
    await page.goto(demo.url);
  });
  afterEach(async () => {
    await page.close();
    await demo.stop();
  });

  it('lets both chat, and shows the request of each frame beside it', async () => {
    await connect(page, 'Alice');
    await connect(page, 'Bob');
    await say(page, 'Alice', 'good morning');
    await say(page, 'Bob', 'hello Alice');

    await frames(page, 'Bob').getByText('good morning', { exact: true }).waitFor();
    await frames(page, 'Alice').getByText('hello Alice', { exact: true }).waitFor();
    const own = frames(page, 'Alice').getByRole('listitem').filter({ hasText: 'good morning' });
    await own.getByText('POST /chat').waitFor();
    assert.match(await own.innerText(), /POST \/chat\s+TEXT c\s+200 ok\s+[\d.]+ ms/);
    assert.deepEqual(faults, []);
  });

  it('lists the requests as the gateway saw them, without the key', async () => {
    await connect(page, 'Alice');
    await say(page, 'Alice', 'one');
    await pane(page, 'Alice').getByRole('button', { name: 'Disconnect Alice' }).click();
    await page.getByRole('row', { name: 'CLOSE' }).waitFor();
    const rows = (await page.locator('#requests tr').allInnerTexts()).map((row) =>
      row
        .split('\t')
        .slice(1, -1)
        .map((cell) => cell.trim())
        .join(' | '),
    );
    assert.deepEqual(rows, [
      'alice | POST /chat | CLOSE 2 | 200 ok',
      'alice | POST /chat | TEXT 3 one | 200 ok',
      'alice | POST /chat | OPEN | 200 ok',
    ]);
    assert.doesNotMatch(await page.locator('#requests').innerText(), /demo-alice/);
    assert.deepEqual(faults, []);
  });

  it('shows refused messages of a flood as refused, with the wait, and stays connected', async () => {
    await connect(page, 'Bob');
    await pane(page, 'Bob').getByRole('button', { name: 'Flood' }).click();
    await frames(page, 'Bob').locator('.refused .note').nth(10).waitFor();
    // 20 requests are allowed, and the handshake was one of them.
    assert.equal(await frames(page, 'Bob').getByText('200 ok').count(), 20);
    assert.equal(await frames(page, 'Bob').getByText('429 rate limited').count(), floodMessages - 19);
    assert.match(await frames(page, 'Bob').locator('.refused').last().innerText(), /refused, wait \d+ s/);
    assert.match(await pane(page, 'Bob').innerText(), /takes messages again in \d+ s; the connection stays/);
    await pane(page, 'Bob').getByText('connected', { exact: true }).waitFor();
    assert.equal(await page.locator('#count-refused').innerText(), String(floodMessages - 19));
    assert.deepEqual(faults, []);
  });

  for (const [choice, verdict] of [
    ['no key', 'no key'],
    ['wrong key', 'unknown key'],
  ] as const) {
    it(`shows that the gateway refuses a connection with ${choice}`, async () => {
      await pane(page, 'Alice').getByLabel('Key').selectOption(choice);
      await pane(page, 'Alice').getByRole('button', { name: 'Connect Alice' }).click();
      await frames(page, 'Alice').getByText(`401 ${verdict}`).waitFor();
      assert.match(await pane(page, 'Alice').getByRole('status').first().innerText(), /refused by the gateway: 401/);
      // The browser itself reports the failed handshake, and nothing else is wrong.
      assert.ok(
        faults.every((fault) => fault.includes('WebSocket connection to')),
        faults.join('\n'),
      );
    });
  }

  it('shows what somebody else publishes by the printed command', async () => {
    await connect(page, 'Alice');
    const [, body, url] = /curl -d '(.+)' (\S+)/.exec(demo.output()) ?? [];
    assert.equal((await fetch(url ?? '', { method: 'POST', body: body ?? '' })).status, 200);
    await frames(page, 'Alice').getByText('hello, everyone').waitFor();
  });

  it('fits a narrow screen', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await connect(page, 'Alice');
    await say(page, 'Alice', 'a word that does not end '.repeat(5) + 'x'.repeat(80));
    await frames(page, 'Alice').getByText('200 ok').nth(1).waitFor();
    assert.ok(await page.locator('html').evaluate((root) => root.scrollWidth <= root.clientWidth), 'the page scrolls sideways');
  });
});

describe('the demo as a process', () => {
  it('ends within a second and with 0, also with clients connected', async () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const demo = await startDemo('--port', '0');
      const socket = new WebSocket(`${demo.url.replace('http', 'ws')}chat?apikey=demo-alice`);
      const log = await fetch(`${demo.url}_log`, { headers: { accept: 'text/event-stream' } });
      await new Promise((resolve) => socket.addEventListener('open', resolve));
      const startedMs = performance.now();
      process.kill(demo.pid, signal);
      assert.equal(await demo.ended, 0);
      assert.ok(performance.now() - startedMs < 1500);
      await log.text().catch(() => undefined);
    }
  });

  it('names a port that is in use, and the way out', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo; // A TCP server has no other kind of address.
    const demo = startProcess(process.execPath, ['examples/demo.ts', '--port', String(port)]);
    assert.equal(await demo.ended, 1);
    assert.equal(demo.output(), `Port ${port} is in use by another program. For free ports: npm start -- --port 0\n`);
    other.close();
  });

  for (const args of [
    ['--port', 'x'],
    ['--port', '70000'],
    ['--ports', '1'],
  ]) {
    it(`does not understand ${args.join(' ')}, and says how it is called`, async () => {
      const demo = startProcess(process.execPath, ['examples/demo.ts', ...args]);
      assert.equal(await demo.ended, 1);
      assert.match(demo.output(), /Usage: npm start/);
    });
  }
});
