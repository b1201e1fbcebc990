import assert from 'node:assert/strict';
import type { Server } from 'node:http';
import type { Response } from 'supertest';
import type { ControlParts } from '../../gateway/control/app.ts';
import { documentedCalls, faultyCalls } from './documented-calls.ts';
import { controlParts, FakeHost, listen, plainServer } from './fake-host.ts';

describe('control API', () => {
  let host: FakeHost;
  let server: Server;
  let logged: unknown[];

  async function start(more: Partial<ControlParts> = {}): Promise<void> {
    host = new FakeHost();
    logged = [];
    const log = { ...controlParts(host).log, error: (...entry: unknown[]) => void logged.push(entry) };
    server = plainServer(controlParts(host, { log, ...more }));
    await listen(server);
  }

  const get = (path: string) => documentedCalls(server).get(path);
  const post = (path: string, body: string | object) =>
    documentedCalls(server).post(path).set('Content-Type', 'application/json').send(body);
  const getFaulty = (path: string) => faultyCalls(server).get(path);
  const postFaulty = (path: string, body: string | object) =>
    faultyCalls(server).post(path).set('Content-Type', 'application/json').send(body);

  function assertProblem(answer: Response, status: number, title: string, detail: string): void {
    assert.equal(answer.status, status);
    assert.equal(answer.headers['content-type'], 'application/problem+json');
    assert.deepEqual(JSON.parse(answer.text), { type: 'about:blank', title, status, detail });
  }

  beforeEach(() => start());

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  it('has no telling header fields and is not cached', async () => {
    for (const path of ['/', '/connections', '/health/live', '/metrics', '/nothing']) {
      const { headers } = await (path === '/nothing' ? getFaulty : get)(path);
      assert.equal(headers['x-powered-by'], undefined);
      assert.equal(headers['etag'], undefined);
      assert.equal(headers['cache-control'], 'no-store');
    }
  });

  for (const method of ['get', 'post', 'put', 'delete', 'patch', 'options'] as const) {
    it(`says its name to ${method.toUpperCase()} /`, async () => {
      const answer = await (method === 'get' ? documentedCalls : faultyCalls)(server)[method]('/');
      assert.equal(answer.status, 200);
      assert.equal(answer.text, 'Foregate API\n');
      assert.equal(answer.headers['content-type'], 'text/plain');
    });
  }

  for (const path of ['/nothing', '/publish/x', '/?x=1', '/health', '/connections/a/b']) {
    it(`does not find ${path}`, async () => {
      const answer = await getFaulty(path);
      assert.equal(answer.status, 404);
      assert.equal(answer.text, 'Not Found\n');
    });
  }

  for (const [method, path, allow] of [
    ['get', '/refresh/', 'POST'],
    ['get', '/conncheck', 'POST'],
    ['post', '/connections', 'GET, HEAD'],
    ['delete', '/connections/x', 'GET, HEAD'],
    ['post', '/health/live', 'GET, HEAD'],
    ['options', '/metrics', 'GET, HEAD'],
  ] as const) {
    it(`refuses ${method.toUpperCase()} ${path}`, async () => {
      const answer = await faultyCalls(server)[method](path);
      assertProblem(answer, 405, 'Method Not Allowed', `Method not allowed: ${method.toUpperCase()}.`);
      assert.equal(answer.headers['allow'], allow);
    });
  }

  describe('refresh', () => {
    for (const path of ['/refresh/', '/refresh']) {
      it(`makes a session ask its backend: ${path}`, async () => {
        host.add('s1', []);
        const answer = await post(path, { cid: 's1', more: 'ignored' });
        assert.equal(answer.status, 200);
        assert.equal(answer.text, '{"message":"Refreshed"}\n');
        assert.deepEqual(host.refreshed, ['s1']);
      });
    }

    it('does not find a session that is gone', async () => {
      assertProblem(await post('/refresh/', { cid: 's1' }), 404, 'Not Found', 'There is no open session with this id.');
    });

    it('does not look at the media type', async () => {
      host.add('s1', []);
      const answer = await faultyCalls(server).post('/refresh/').set('Content-Type', 'text/plain').send('{"cid":"s1"}');
      assert.equal(answer.status, 200);
    });

    for (const [body, detail] of [
      ['', "The body must have required property 'cid'."],
      ['{', 'The body is not valid JSON, or the path is not valid.'],
      ['null', 'The body is not valid JSON, or the path is not valid.'],
      ['"x"', 'The body is not valid JSON, or the path is not valid.'],
      ['[]', 'The body must be object.'],
      ['{}', "The body must have required property 'cid'."],
      ['{"cid":1}', '/cid must be string.'],
      ['{"cid":null}', '/cid must be string.'],
      ['{"cid":""}', '/cid must NOT have fewer than 1 characters.'],
    ] as const) {
      it(`refuses the body ${body || 'that is empty'}`, async () => {
        assertProblem(await postFaulty('/refresh/', body), 400, 'Bad Request', detail);
      });
    }

    it('refuses a body above 100 KB and one that is compressed', async () => {
      assertProblem(
        await post('/refresh/', JSON.stringify({ cid: 'x'.repeat(102_400) })),
        413,
        'Payload Too Large',
        'The body is too large.',
      );
      const gzip = await faultyCalls(server).post('/refresh/').set('Content-Encoding', 'gzip').send('{}');
      assertProblem(gzip, 415, 'Unsupported Media Type', 'The encoding of the body is not known.');
    });

    it('survives a body of 50,000 nested arrays', async () => {
      const answer = await postFaulty('/refresh/', `${'['.repeat(50_000)}${']'.repeat(50_000)}`);
      assert.equal(answer.status, 400);
    });
  });

  describe('conncheck', () => {
    it('gives those ids that are open, in the order asked', async () => {
      host.add('s1', []);
      host.add('s3', []);
      const answer = await post('/conncheck/', { ids: ['s3', 's2', 's1'] });
      assert.equal(answer.text, '["s3","s1"]\n');
      assert.equal((await post('/conncheck', { ids: [] })).text, '[]\n');
    });

    it('takes 10,000 ids and no more', async () => {
      const ids = Array.from({ length: 10_001 }, (_, i) => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`);
      await post('/conncheck/', { ids: ids.slice(1) }).expect(200);
      assertProblem(await postFaulty('/conncheck/', { ids }), 400, 'Bad Request', '/ids must NOT have more than 10000 items.');
    });

    it('refuses what is no list of ids', async () => {
      for (const body of [{}, { ids: 'x' }, { ids: [1] }, { ids: null }])
        assert.equal((await postFaulty('/conncheck/', body)).status, 400);
    });
  });

  describe('lists', () => {
    beforeEach(() => {
      host.add('s1', ['a', 'b'], 'alice');
      host.add('s2', ['b'], 'bob');
      host.add('s3', []);
    });

    const idsOf = async (path: string): Promise<unknown[]> => {
      const { body } = await get(path).expect(200);
      assert.ok(Array.isArray(body));
      return body.map((session: { id: unknown }) => session.id);
    };

    for (const [query, ids] of [
      ['', ['s1', 's2', 's3']],
      ['?limit=2', ['s1', 's2']],
      ['?limit=10000', ['s1', 's2', 's3']],
      ['?channel=b', ['s1', 's2']],
      ['?channel=b&limit=1', ['s1']],
      ['?subject=bob', ['s2']],
      ['?channel=a&subject=bob', []],
      ['?channel=', []],
      ['?unknown=1', ['s1', 's2', 's3']],
    ] as const) {
      it(`the sessions: /connections${query}`, async () => {
        assert.deepEqual(await idsOf(`/connections${query}`), ids);
      });
    }

    for (const limit of ['0', '-1', '10001', 'x', '', '1.5', '1e3', '99999999999999999999', ' 1']) {
      it(`refuse the limit "${limit}"`, async () => {
        const detail = 'limit must be a whole number from 1 to 10000.';
        assertProblem(await getFaulty(`/connections?limit=${encodeURIComponent(limit)}`), 400, 'Bad Request', detail);
        assertProblem(await getFaulty(`/channels?limit=${encodeURIComponent(limit)}`), 400, 'Bad Request', detail);
      });
    }

    it('refuse a member that is given twice', async () => {
      assertProblem(await getFaulty('/connections?channel=a&channel=b'), 400, 'Bad Request', 'channel must be given once.');
      assertProblem(await getFaulty('/channels?prefix=a&prefix=b'), 400, 'Bad Request', 'prefix must be given once.');
    });

    it('hold 1,000 entries unless more are asked for', async () => {
      for (let i = 0; i < 1200; i += 1) host.add(`n${i}`, [`c${i}`]);
      assert.equal((await idsOf('/connections')).length, 1000);
      assert.equal((await idsOf('/connections?limit=1100')).length, 1100);
      assert.equal((await get('/channels')).body.length, 1000);
    });

    it('one session', async () => {
      const { body } = await get('/connections/s1').expect(200);
      assert.deepEqual(body, {
        id: 's1',
        route: 'chat',
        transport: 'websocket',
        address: '203.0.113.7',
        path: '/chat',
        subject: 'alice',
        channels: ['a', 'b'],
        openedAt: '2026-11-24T09:30:00.000Z',
      });
      assertProblem(await get('/connections/s9'), 404, 'Not Found', 'There is no open session with this id.');
      assertProblem(
        await getFaulty('/connections/%ff'),
        400,
        'Bad Request',
        'The body is not valid JSON, or the path is not valid.',
      );
    });

    it('the channels that have subscribers', async () => {
      host.add('s4', ['other']);
      assert.deepEqual((await get('/channels')).body, [
        { channel: 'a', subscribers: 1 },
        { channel: 'b', subscribers: 2 },
        { channel: 'other', subscribers: 1 },
      ]);
      assert.deepEqual((await get('/channels?prefix=ot')).body, [{ channel: 'other', subscribers: 1 }]);
      assert.deepEqual((await get('/channels?limit=1')).body, [{ channel: 'a', subscribers: 1 }]);
    });
  });

  describe('health', () => {
    it('is live, also while draining', async () => {
      host.draining = true;
      assert.deepEqual((await get('/health/live').expect(200)).body, { status: 'live' });
    });

    it('is ready or not', async () => {
      assert.deepEqual((await get('/health/ready').expect(200)).body, { status: 'ready' });
      host.draining = true;
      assert.deepEqual((await get('/health/ready').expect(503)).body, { status: 'unavailable' });
    });

    it('tells how the bus is that several machines share', async () => {
      host.sharedBus = 'up';
      assert.deepEqual((await get('/health/ready').expect(200)).body, { status: 'ready', bus: 'up' });
      host.sharedStore = 'up';
      host.sharedBus = 'away';
      assert.deepEqual((await get('/health/ready').expect(200)).body, { status: 'ready', store: 'up', bus: 'away' });
    });

    it('tells how the store is that several machines share', async () => {
      host.sharedStore = 'up';
      assert.deepEqual((await get('/health/ready').expect(200)).body, { status: 'ready', store: 'up' });
      host.sharedStore = 'away';
      assert.deepEqual((await get('/health/ready').expect(200)).body, { status: 'ready', store: 'away' });
      host.draining = true;
      assert.deepEqual((await get('/health/ready').expect(503)).body, { status: 'unavailable', store: 'away' });
    });

    it('answers HEAD', async () => {
      const answer = await documentedCalls(server).head('/health/live');
      assert.equal(answer.status, 200);
      assert.equal(answer.text, undefined);
    });
  });

  it('gives the metrics as they come', async () => {
    const answer = await get('/metrics');
    assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    assert.equal(answer.text, '# nothing\n');
  });

  it('tells of failures here without showing them', async () => {
    await new Promise((resolve) => server.close(resolve));
    await start({ metricsText: async () => Promise.reject(new TypeError('secret detail')) });
    assertProblem(await get('/metrics'), 500, 'Internal Server Error', 'Something went wrong here.');
    assert.equal(logged.length, 1);
  });
});
