import assert from 'node:assert/strict';
import type { Server } from 'node:http';
import type { Test } from 'supertest';
import { documentedCalls } from './documented-calls.ts';
import { controlParts, FakeHost, listen, plainServer, publishBody } from './fake-host.ts';

type Fields = Readonly<Record<string, string>>;

describe('calls that a browser makes', () => {
  let host: FakeHost;
  let server: Server;

  async function start(auth: Parameters<typeof controlParts>[1] = {}): Promise<void> {
    host = new FakeHost();
    server = plainServer(controlParts(host, auth));
    await listen(server);
  }

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const publish = (fields: Fields): Test =>
    documentedCalls(server).post('/publish/').set(fields).type('json').send(publishBody('a'));
  const read = (fields: Fields): Test => documentedCalls(server).get('/connections').set(fields);
  const basic = `Basic ${Buffer.from('ann:secret').toString('base64')}`;
  const withPassword = { auth: { basic: [{ user: 'ann', password: 'secret' }] } };

  const foreign: readonly (readonly [string, Fields])[] = [
    ['a page of another site', { 'Sec-Fetch-Site': 'cross-site' }],
    ['a page of another port', { 'Sec-Fetch-Site': 'same-site' }],
    ['a page that names its origin only', { Origin: 'https://evil.example' }],
    ['a page without an origin', { Origin: 'null' }],
    [
      'a form that is sent by navigating',
      { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' },
    ],
  ];
  for (const [name, fields] of foreign) {
    it(`for ${name} are refused, also with the password that the browser adds`, async () => {
      await start();
      assert.equal((await publish(fields)).text, 'Pages of other sites may not call this.\n');
      server.close();
      await start(withPassword);
      assert.equal((await publish({ ...fields, Authorization: basic })).status, 403);
      assert.deepEqual(host.published, []);
    });
  }

  const own: readonly (readonly [string, Fields])[] = [
    ['a page from here', { 'Sec-Fetch-Site': 'same-origin', Origin: 'http://localhost:5561' }],
    ['its user', { 'Sec-Fetch-Site': 'none' }],
    ['a page from here that names its origin only', { Origin: 'http://localhost:5561', Host: 'localhost:5561' }],
    ['a page from here behind TLS', { Origin: 'https://localhost:5561', Host: 'localhost:5561' }],
  ];
  for (const [name, fields] of own) {
    it(`for ${name} are taken`, async () => {
      await start();
      assert.equal((await publish(fields)).status, 200);
      server.close();
      await start(withPassword);
      assert.equal((await publish({ ...fields, Authorization: basic })).status, 200);
    });
  }

  it('for who follows a link to here are taken, and not for a frame or a script', async () => {
    await start();
    const link = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' };
    assert.equal((await read(link)).status, 200);
    assert.equal((await read({ ...link, 'Sec-Fetch-Dest': 'iframe' })).status, 403);
    assert.equal((await read({ ...link, 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'script' })).status, 403);
  });

  it('with a token come from who has it, wherever the page is from', async () => {
    await start({ auth: { bearer: ['k'] } });
    assert.equal((await publish({ 'Sec-Fetch-Site': 'cross-site', Authorization: 'Bearer k' })).status, 200);
  });

  for (const name of [
    '127.0.0.1',
    '127.0.0.1:5561',
    '[::1]:5561',
    '[::1]',
    'localhost',
    'LOCALHOST:5561',
    'foregate.localhost:80',
  ]) {
    it(`without credentials may call this machine ${name}`, async () => {
      await start();
      assert.equal((await read({ Host: name })).status, 200);
    });
  }

  for (const name of [
    'evil.example:5561',
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example:5561',
    '[::1',
    '::1',
    '',
  ]) {
    it(`without credentials may not call it ${name || 'nothing'}: whoever has the name may lead it here`, async () => {
      await start();
      const answer = await read({ Host: name });
      assert.equal(answer.status, 403);
      assert.match(answer.text, /Without control\.auth a browser calls this by an IP address or as localhost/);
      assert.equal((await publish({ Host: name, Origin: `http://${name}` })).status, 403);
      assert.equal((await publish({ Host: name })).status, 200, 'no browser');
      server.close();
      await start(withPassword);
      assert.equal((await read({ Host: name, Authorization: basic })).status, 200);
    });
  }
});
