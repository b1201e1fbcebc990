import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import jsonwebtoken from 'jsonwebtoken';
import {
  createPublisher,
  parseGripUrl,
  PublishError,
  type Publisher,
  type PublisherOptions,
} from '../../gateway/backend/express.ts';
import { startBackend, type Backend, type BackendReply } from '../support/backend.ts';

let control: Backend;
let replies: BackendReply[];

beforeEach(async () => {
  replies = [];
  control = await startBackend(() => replies.shift() ?? { body: 'Published\n' });
});
afterEach(() => control.stop());

const publisher = (options: Omit<PublisherOptions, 'url'> = {}): Publisher =>
  createPublisher({ url: control.origin, ...options });
const items = (): unknown => JSON.parse(String(control.requests.at(-1)?.body)).items;
const authorization = (): string | undefined => control.requests.at(-1)?.headers.authorization;

describe('createPublisher: bodies', () => {
  it('publishes one item in all three forms', async () => {
    await publisher().publish('room', {
      message: 'hi',
      stream: 'data: hi\n\n',
      response: { status: 201, headers: { 'X-A': '1' }, body: 'hi' },
      id: '2',
      previousId: '1',
      meta: { sender: '7' },
    });
    const [request] = control.requests;
    assert.deepEqual(
      [request?.method, request?.path, request?.headers['content-type']],
      ['POST', '/publish/', 'application/json'],
    );
    assert.deepEqual(items(), [
      {
        channel: 'room',
        id: '2',
        'prev-id': '1',
        meta: { sender: '7' },
        formats: {
          'ws-message': { content: 'hi' },
          'http-stream': { content: 'data: hi\n\n' },
          'http-response': { code: 201, headers: [['X-A', '1']], body: 'hi' },
        },
      },
    ]);
  });

  it('publishes bytes as base64', async () => {
    const bytes = new Uint8Array([0, 255]);
    await publisher().publish('room', { message: bytes, stream: bytes, response: bytes });
    assert.deepEqual(items(), [
      {
        channel: 'room',
        formats: {
          'ws-message': { 'content-bin': 'AP8=' },
          'http-stream': { 'content-bin': 'AP8=' },
          'http-response': { 'body-bin': 'AP8=' },
        },
      },
    ]);
    await publisher().publish('room', { response: { body: bytes } });
    assert.deepEqual(items(), [
      { channel: 'room', formats: { 'http-response': { code: 200, headers: [], 'body-bin': 'AP8=' } } },
    ]);
  });

  it('publishes many items in one call', async () => {
    await publisher().publishAll([
      { channel: 'a', message: '1' },
      { channel: 'b', response: 'x' },
    ]);
    assert.equal(control.requests.length, 1);
    assert.deepEqual(items(), [
      { channel: 'a', formats: { 'ws-message': { content: '1' } } },
      { channel: 'b', formats: { 'http-response': { body: 'x' } } },
    ]);
  });

  it('closes and refreshes a channel', async () => {
    await publisher().close('room', 4000, 'over');
    assert.deepEqual(items(), [
      {
        channel: 'room',
        formats: {
          'ws-message': { action: 'close', code: 4000, reason: 'over' },
          'http-stream': { action: 'close', content: '' },
        },
      },
    ]);
    await publisher().refresh('room');
    assert.deepEqual(items(), [{ channel: 'room', formats: { 'ws-message': { action: 'refresh' } } }]);
  });

  it('refreshes one session by its id', async () => {
    await publisher().refresh({ session: '7c0ff6e2' });
    assert.deepEqual([control.requests[0]?.path, String(control.requests[0]?.body)], ['/refresh/', '{"cid":"7c0ff6e2"}']);
  });

  it('keeps a path of the control API', async () => {
    await createPublisher(`${control.origin}/realm/x/`).publish('a', { message: '' });
    assert.equal(control.requests[0]?.path, '/realm/x/publish/');
  });

  it('refuses an item without any form', async () => {
    await assert.rejects(publisher().publish('a', {}), TypeError);
    assert.equal(control.requests.length, 0);
  });
});

describe('createPublisher: who calls', () => {
  it('sends nothing by default', async () => {
    await publisher().publish('a', { message: '' });
    assert.equal(authorization(), undefined);
  });

  it('sends a bearer token or a user', async () => {
    await publisher({ auth: { bearer: 'token' } }).publish('a', { message: '' });
    assert.equal(authorization(), 'Bearer token');
    await publisher({ auth: { user: 'u', password: 'p:é' } }).publish('a', { message: '' });
    assert.equal(authorization(), `Basic ${Buffer.from('u:p:é').toString('base64')}`);
  });

  it('signs a short token with a secret and uses it again', async () => {
    const one = publisher({ auth: { issuer: 'app', key: 'secret' } });
    await one.publish('a', { message: '' });
    const first = authorization();
    const claims = jsonwebtoken.verify(first?.replace('Bearer ', '') ?? '', 'secret', { algorithms: ['HS256'], issuer: 'app' });
    assert.ok(typeof claims === 'object' && claims.exp !== undefined && Math.abs(claims.exp - Date.now() / 1000 - 600) < 5);
    await one.publish('a', { message: '' });
    assert.equal(authorization(), first);
  });

  it('signs with a private key', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    await publisher({ auth: { issuer: 'app', key: pem } }).publish('a', { message: '' });
    jsonwebtoken.verify(authorization()?.replace('Bearer ', '') ?? '', publicKey, { algorithms: ['ES256'], issuer: 'app' });
  });

  it('reads a GRIP_URL', async () => {
    await createPublisher(`${control.origin}/?key=abc`).publish('a', { message: '' });
    assert.equal(authorization(), 'Bearer abc');
    await createPublisher(control.origin.replace('http://', 'http://u:p%20q@')).publish('a', { message: '' });
    assert.equal(authorization(), `Basic ${Buffer.from('u:p q').toString('base64')}`);
  });
});

describe('createPublisher: failures', () => {
  const failure = async (options: Omit<PublisherOptions, 'url'> = {}, item = {}): Promise<PublishError> => {
    const error: unknown = await publisher(options)
      .publish('a', { message: '', ...item })
      .catch((thrown: unknown) => thrown);
    assert.ok(error instanceof PublishError);
    return error;
  };

  for (const [status, code] of [
    [400, 'bad-request'],
    [401, 'unauthorized'],
    [403, 'forbidden'],
    [500, 'downstream-fault'],
    [302, 'bad-request'],
  ] as const) {
    it(`tells of status ${status} and its text`, async () => {
      replies = [{ status, body: "Invalid format: object does not contain 'items'\n" }];
      const error = await failure();
      assert.deepEqual([error.status, error.code], [status, code]);
      assert.equal(error.body, "Invalid format: object does not contain 'items'\n");
    });
  }

  it('keeps no more than 4096 characters of an answer', async () => {
    replies = [{ status: 500, body: 'x'.repeat(100_000) }];
    assert.equal((await failure()).body.length, 4096);
  });

  it('tells that nobody listens', async () => {
    const url = control.origin;
    await control.stop();
    const error: unknown = await createPublisher(url.replace('http://', 'http://u:secret@'))
      .publish('a', { message: '' })
      .catch((thrown: unknown) => thrown);
    assert.ok(error instanceof PublishError);
    assert.deepEqual([error.code, error.status], ['downstream-unreachable', undefined]);
    assert.doesNotMatch(error.message, /secret/);
    control = await startBackend();
  });

  it('does not wait for ever', async () => {
    control.answer = () => undefined;
    const error = await failure({ timeoutMs: 50 });
    assert.deepEqual([error.code, error.status], ['downstream-timeout', undefined]);
  });

  it('sends nothing twice by default', async () => {
    replies = [{ status: 503 }];
    await failure({}, { id: '1' });
    assert.equal(control.requests.length, 1);
  });

  it('sends items with ids once more after 502, 503 and 504, if told so', async () => {
    for (const status of [502, 503, 504]) {
      replies = [{ status }];
      await publisher({ retry: 'once' }).publish('a', { message: '', id: '1' });
    }
    assert.equal(control.requests.length, 6);
  });

  it('never sends more than twice', async () => {
    replies = [{ status: 503 }, { status: 503 }];
    await failure({ retry: 'once' }, { id: '1' });
    assert.equal(control.requests.length, 2);
  });

  it('does not repeat items without ids, nor after other answers', async () => {
    replies = [{ status: 503 }, { status: 500 }];
    await failure({ retry: 'once' });
    await failure({ retry: 'once' }, { id: '1' });
    assert.equal(control.requests.length, 2);
  });
});

describe('parseGripUrl', () => {
  it('takes a GRIP_URL apart', () => {
    assert.deepEqual(
      parseGripUrl('https://api.example/realm/x?iss=x&key=base64:c2VjcmV0&verify-iss=gw&verify-key=base64:a%2Bb/'),
      {
        url: 'https://api.example/realm/x',
        auth: { issuer: 'x', key: 'base64:c2VjcmV0' },
        signature: { key: 'base64:a+b/', issuer: 'gw' },
      },
    );
  });

  it('decodes a bearer key, and mends a plus that became a space', () => {
    assert.deepEqual(parseGripUrl('http://a/?key=base64:c2VjcmV0').auth, { bearer: 'secret' });
    assert.deepEqual(parseGripUrl('http://a/?iss=i&key=base64:a+b/').auth, { issuer: 'i', key: 'base64:a+b/' });
  });

  it('checks signatures with the key for publishing where there is no other', () => {
    assert.deepEqual(parseGripUrl('http://a/?iss=i&key=k').signature, { key: 'k' });
    assert.equal(parseGripUrl('http://a/?key=k').signature, undefined);
    assert.equal(parseGripUrl('http://a/').signature, undefined);
  });

  it('refuses other things without repeating them', () => {
    for (const wrong of ['', 'localhost:5561', 'ftp://a/', 'http://?key=hidden']) {
      assert.throws(
        () => parseGripUrl(wrong),
        (error) => error instanceof TypeError && !error.message.includes('hidden'),
      );
    }
  });
});
