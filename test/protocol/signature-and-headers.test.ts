/** GRIP 8.1 to 8.4: what a backend can rely on in the fields of each request. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import jsonwebtoken from 'jsonwebtoken';
import { echo } from '../support/backend.ts';
import { refusedClient } from '../support/client.ts';
import { clearStage, pause, said, setStage } from './stage.ts';

afterEach(clearStage);

const key = 'a secret of some length, for HS256';
const signed = { grip: { issuer: 'gw', key } };

describe('Grip-Sig (GRIP 8.4)', () => {
  it('is on every request, verifies, names the issuer and lives an hour', async () => {
    const { backend, open } = await setStage({ settings: signed });
    const client = await open();
    client.send('x');
    await client.next();
    await client.close();
    assert.equal(backend.requests.length, 3);
    for (const { headers } of backend.requests) {
      const token = String(headers['grip-sig']);
      const decoded = jsonwebtoken.verify(token, key, { algorithms: ['HS256'], issuer: 'gw', complete: true });
      assert.deepEqual(decoded.header, { alg: 'HS256', typ: 'JWT' });
      const { exp = 0 } = typeof decoded.payload === 'string' ? {} : decoded.payload;
      assert.ok(Math.abs(exp - 3600 - Date.now() / 1000) < 3);
    }
  });

  it('is made anew for later requests', async () => {
    const { backend, open } = await setStage({ settings: signed });
    const client = await open();
    await pause(1100);
    client.send('x');
    await client.next();
    assert.notEqual(backend.requests[0]?.headers['grip-sig'], backend.requests[1]?.headers['grip-sig']);
  });

  it('takes a base64 secret and a private key', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    for (const [given, verify] of [
      [`base64:${Buffer.from(key).toString('base64')}`, key],
      [rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }), rsa.publicKey.export({ type: 'spki', format: 'pem' })],
    ] as const) {
      const { backend, open } = await setStage({ settings: { grip: { issuer: 'gw', key: given } } });
      await open();
      jsonwebtoken.verify(String(backend.requests[0]?.headers['grip-sig']), verify);
      await clearStage();
    }
  });

  it('of a client does not get through, whether there is a key or not', async () => {
    for (const settings of [signed, {}]) {
      const { backend, open } = await setStage({ settings });
      await open('/', { headers: { 'Grip-Sig': 'forged', Grip_Sig: 'forged', 'grip-whatever': 'forged' } });
      assert.equal(JSON.stringify(backend.requests[0]?.rawHeaders).includes('forged'), false);
      await clearStage();
    }
  });
});

describe('Grip-Feature (GRIP 8.3)', () => {
  it('lists what works here, by the names of the protocol', async () => {
    const { backend, open } = await setStage();
    await open();
    const features = String(backend.requests[0]?.headers['grip-feature']).split(', ');
    const known = [
      'status',
      'session',
      'link:next',
      'link:gone',
      'filter:skip-self',
      'filter:skip-users',
      'filter:require-sub',
      'filter:build-id',
      'filter:var-subst',
      'filter:http-check',
      'filter:http-modify',
    ];
    assert.ok(features.includes('filter:skip-self'));
    for (const feature of features) assert.ok(known.includes(feature), feature);
  });
});

describe('forwarding fields (GRIP 8.2)', () => {
  it('say who the client is, once, and are not believed from anybody', async () => {
    const { backend, open } = await setStage();
    await open('/', {
      headers: {
        'X-Forwarded-For': '203.0.113.9',
        'X-Real-IP': '203.0.113.9',
        Forwarded: 'for=203.0.113.9',
        'X-Forwarded-Proto': 'https',
      },
    });
    const { headers } = backend.requests[0] ?? assert.fail();
    assert.equal(headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(headers['x-forwarded-proto'], 'http');
    assert.equal(JSON.stringify(headers).includes('203.0.113.9'), false);
  });

  it('are believed from a proxy of ours', async () => {
    const { backend, open } = await setStage({ settings: { trustedProxies: ['127.0.0.1'] } });
    await open('/', { headers: { 'X-Forwarded-For': '203.0.113.9', 'X-Forwarded-Proto': 'https' } });
    const { headers } = backend.requests[0] ?? assert.fail();
    assert.equal(headers['x-forwarded-for'], '203.0.113.9, 127.0.0.1');
    assert.equal(headers['x-forwarded-proto'], 'https');
  });
});

describe('events from outside (GRIP 8.1)', () => {
  for (const type of ['application/websocket-events', 'Application/WebSocket-Events; charset=utf-8']) {
    it(`are refused with 403: ${type}`, async () => {
      const { backend, url } = await setStage({ answer: echo });
      const response = await fetch(`${url}/chat`, {
        method: 'POST',
        headers: { 'Content-Type': type, 'Connection-Id': 'x' },
        body: 'TEXT 2\r\nhi\r\n',
      });
      assert.equal(response.status, 403);
      assert.equal(await response.text(), 'Client not allowed to send WebSocket events directly.\n');
      assert.equal(backend.requests.length, 0);
    });
  }

  it('may be plain requests of another type', async () => {
    const { backend, url } = await setStage({ answer: () => ({ body: 'plain' }) });
    const response = await fetch(`${url}/chat`, { method: 'POST', body: 'TEXT 2\r\nhi\r\n' });
    assert.equal(await response.text(), 'plain');
    assert.equal(backend.requests.length, 1);
  });
});

describe('credentials of a policy', () => {
  const secret = 'another secret of some length for HS256';
  const jwt = { route: { policies: [{ use: 'jwt', secret }] } };

  it('open the door, and not without', async () => {
    const { backend, url, open } = await setStage(jwt);
    assert.equal((await refusedClient(url.replace('http', 'ws'))).status, 401);
    assert.equal((await refusedClient(url.replace('http', 'ws'), { headers: { Authorization: 'Bearer rubbish' } })).status, 401);
    assert.equal(backend.requests.length, 0);
    const token = jsonwebtoken.sign({ sub: 'me' }, secret, { expiresIn: 60 });
    const client = await open('/', { headers: { Authorization: `Bearer ${token}` } });
    client.send('x');
    assert.equal(await client.nextText(), 'x');
  });

  it('end the connection when they end', async () => {
    const { backend, open } = await setStage(jwt);
    const token = jsonwebtoken.sign({ sub: 'me', exp: Math.floor(Date.now() / 1000) + 1 }, secret);
    const client = await open('/', { headers: { Authorization: `Bearer ${token}` } });
    assert.equal((await client.closed(4000)).code, 4401);
    await backend.until(() => said(backend.events()).includes('DISCONNECT'));
  });
});
