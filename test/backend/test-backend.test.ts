/** The backend that comes with the program, behind a running Foregate. */
import assert from 'node:assert/strict';
import { loadSettings, startForegate, type RunningForegate } from '../support/gateway.ts';
import { openClient } from '../support/client.ts';

describe('the test backend', () => {
  let foregate: RunningForegate;

  before(async () => {
    foregate = await startForegate({ routes: [{ id: 'try', target: 'builtin:test' }] });
  });
  after(async () => foregate.stop());

  async function publish(channel: string, formats: object): Promise<void> {
    const { status } = await fetch(`${foregate.controlUrl}/publish/`, {
      method: 'POST',
      body: JSON.stringify({ items: [{ channel, formats }] }),
    });
    assert.equal(status, 200);
  }

  async function joined(channel: string): Promise<void> {
    for (;;) {
      const members = (await (await fetch(`${foregate.controlUrl}/channels`)).json()) as { channel: string }[];
      if (members.some((one) => one.channel === channel)) return;
    }
  }

  it('greets, and knows nothing else', async () => {
    const greeting = await fetch(`${foregate.url}/`);
    assert.deepEqual([greeting.status, /Hello/.test(await greeting.text())], [200, true]);
    for (const path of ['/other', '/constructor']) {
      const other = await fetch(foregate.url + path);
      assert.deepEqual([other.status, await other.text()], [404, 'no such test resource\n']);
    }
  });

  it('holds on every channel of the query, whatever its name', async () => {
    const held = fetch(`${foregate.url}/response?channel=one&channel=${encodeURIComponent('größe,;"')}`);
    await joined('größe,;"');
    await publish('größe,;"', { 'http-response': { body: 'heard' } });
    assert.equal(await (await held).text(), 'heard');
  });

  it('streams on the channel test where none is named', async () => {
    const { body } = await fetch(`${foregate.url}/stream`);
    const reader = body?.pipeThrough(new TextDecoderStream()).getReader();
    assert.equal((await reader?.read())?.value, '[stream opened]\n');
    await joined('test');
    await publish('test', { 'http-stream': { content: 'news' } });
    assert.equal((await reader?.read())?.value, 'news');
    await reader?.cancel();
  });

  it('echoes, and hears what is published', async () => {
    const client = await openClient(`${foregate.socketUrl}/ws?channel=room`);
    client.send('hello');
    assert.equal(await client.nextText(), 'hello');
    await publish('room', { 'ws-message': { content: 'all' } });
    assert.equal(await client.nextText(), 'all');
    await client.close();
  });

  it('is no WebSocket backend', async () => {
    await assert.rejects(
      loadSettings({ routes: [{ id: 'a', target: { url: 'builtin:test', dialect: 'relay' } }] }),
      /no WebSocket of its own/,
    );
  });
});
