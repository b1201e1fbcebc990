/** Chromium's own EventSource, WebSocket and fetch. */
import assert from 'node:assert/strict';
import { chromium, type Browser, type Page } from 'playwright-core';
import { need } from '../support/debian.ts';
import { echo, type BackendRequest } from '../support/backend.ts';
import { byPath, held, setHoldStage, stream, type HoldStage } from '../protocol/holds.ts';
import { clearStage } from '../protocol/stage.ts';

const page = `<!doctype html><title>clients</title><script>
  const got = [];
  const until = (check) => new Promise((resolve) => { const look = () => (check() ? resolve() : setTimeout(look, 10)); look(); });
</script>`;

const answers = byPath({
  '/': { headers: { 'Content-Type': 'text/html' }, body: page },
  '/events': stream('c', { 'Content-Type': 'text/event-stream' }, 'retry: 50\ndata: first\n\n'),
  '/poll': held('c'),
});

describe('in Chromium', function () {
  this.timeout(30_000);
  let browser: Browser;
  let tab: Page;
  let stage: HoldStage;

  before(async () => {
    browser = await chromium.launch({ executablePath: need('chromium'), args: ['--headless', '--no-sandbox', '--disable-gpu'] });
  });
  after(() => browser?.close());
  beforeEach(async () => {
    const answer = (request: BackendRequest) => (request.method === 'POST' ? echo(request) : answers(request));
    stage = await setHoldStage({ answer });
    tab = await browser.newPage();
    await tab.goto(`http://127.0.0.1:${stage.port}/`);
  });
  afterEach(async () => {
    await tab.close();
    await clearStage();
  });

  it('EventSource gets what is published, and comes back with its last id', async () => {
    await tab.evaluate(`source = new EventSource('/events'); source.onmessage = ({ data }) => got.push(data);`);
    await stage.joined('c');
    await stage.streamed('c', 'id: 7\ndata: second\n\n');
    await tab.evaluate('until(() => got.length === 2)');
    await stage.item('c', { 'http-stream': { action: 'close' } });
    await tab.evaluate('until(() => got.length === 3)');
    assert.deepEqual(await tab.evaluate('got'), ['first', 'second', 'first']);
    assert.equal(stage.at('/events')[1]?.headers['last-event-id'], '7');
  });

  it('WebSocket gets echoes of text and bytes, and the close code', async () => {
    await tab.evaluate(`
      socket = new WebSocket('ws://' + location.host + '/chat');
      socket.binaryType = 'arraybuffer';
      socket.onmessage = ({ data }) => got.push(typeof data === 'string' ? data : [...new Uint8Array(data)].join());
      socket.onclose = ({ code, wasClean }) => got.push(code + ' ' + wasClean);
      new Promise((resolve) => { socket.onopen = resolve; });`);
    await tab.evaluate(`socket.send('hé'); socket.send(new Uint8Array([0, 255]));`);
    await tab.evaluate('until(() => got.length === 2)');
    await tab.evaluate(`socket.close(4001, 'done')`);
    await tab.evaluate('until(() => got.length === 3)');
    assert.deepEqual(await tab.evaluate('got'), ['hé', '0,255', '4001 true']);
  });

  it('fetch waits for a held answer', async () => {
    await tab.evaluate(`fetch('/poll').then((response) => response.text()).then((text) => got.push(text)); undefined`);
    await stage.joined('c');
    await stage.answered('c', 'the item');
    await tab.evaluate('until(() => got.length === 1)');
    assert.deepEqual(await tab.evaluate('got'), ['the item']);
  });
});
