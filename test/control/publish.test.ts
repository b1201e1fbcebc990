import assert from 'node:assert/strict';
import type { Server } from 'node:http';
import type { ControlParts } from '../../gateway/control/app.ts';
import { ForegateError } from '../../gateway/core/errors.ts';
import { deny, noHooks, type Hook, type Publisher, type RouteHooks } from '../../gateway/core/policy.ts';
import type { Publication } from '../../gateway/core/publication.ts';
import { publishFaults } from '../wire/publish-items-faults.ts';
import { documentedCalls, faultyCalls } from './documented-calls.ts';
import { controlParts, FakeHost, listen, plainServer, publishBody } from './fake-host.ts';

describe('POST /publish/', () => {
  let host: FakeHost;
  let server: Server;

  async function start(more: Partial<ControlParts> = {}): Promise<void> {
    host = new FakeHost();
    server = plainServer(controlParts(host, more));
    await listen(server);
  }
  const hooks = (...publish: Hook<Publication, Publisher>[]): RouteHooks => ({ ...noHooks, publish });
  const publish = (body: string, calls = documentedCalls) =>
    calls(server).post('/publish/').set('Content-Type', 'application/json').send(body);

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  for (const path of ['/publish/', '/publish']) {
    it(`answers ${path} with one line of text`, async () => {
      await start();
      const answer = await documentedCalls(server).post(path).type('json').send(publishBody('news'));
      assert.equal(answer.status, 200);
      assert.equal(answer.headers['content-type'], 'text/plain');
      assert.equal(answer.headers['cache-control'], 'no-store');
      assert.equal(answer.text, 'Published\n');
      assert.deepEqual(host.publishedTo, ['news']);
    });
  }

  it('answers in JSON where that is preferred', async () => {
    await start();
    const answer = await publish(publishBody('news')).set('Accept', 'text/plain;q=0.1, application/json');
    assert.equal(answer.headers['content-type'], 'application/json');
    assert.equal(answer.text, '{"message":"Published"}\n');
  });

  it('refuses to answer in anything else, and publishes nothing', async () => {
    await start();
    const answer = await publish(publishBody('news')).set('Accept', 'text/html');
    assert.equal(answer.status, 406);
    assert.equal(answer.text, 'Not Acceptable. Supported formats are text/plain and application/json.\n');
    assert.deepEqual(host.published, []);
  });

  it('does not look at the media type of the body', async () => {
    await start();
    const answer = await faultyCalls(server)
      .post('/publish/')
      .set('Content-Type', 'application/x-www-form-urlencoded')
      .send(publishBody('news'));
    assert.equal(answer.status, 200);
  });

  for (const method of ['get', 'put', 'delete', 'options', 'patch'] as const) {
    it(`refuses ${method.toUpperCase()}`, async () => {
      await start();
      const answer = await faultyCalls(server)[method]('/publish/');
      assert.equal(answer.status, 405);
      assert.equal(answer.headers['allow'], 'POST');
      assert.equal(answer.text, `Method not allowed: ${method.toUpperCase()}.\n`);
    });
  }

  it('is not found with a query', async () => {
    await start();
    const answer = await faultyCalls(server).post('/publish/?x=1').send(publishBody('news'));
    assert.equal(answer.status, 404);
    assert.equal(answer.text, 'Not Found\n');
    assert.deepEqual(host.published, []);
  });

  it('refuses every faulty body with its text and publishes nothing of it', async () => {
    await start();
    for (const [body, text] of publishFaults) {
      const answer = await publish(body, faultyCalls).set('Content-Length', String(Buffer.byteLength(body)));
      assert.equal(answer.status, 400, body);
      assert.equal(answer.text, `${text}\n`);
      assert.equal(answer.headers['content-type'], 'text/plain');
    }
    assert.deepEqual(host.published, []);
  });

  it('publishes all items in their order, or none', async () => {
    await start();
    await publish(publishBody('a', 'b', 'c')).expect(200);
    await publish(publishBody('d', '', 'e'), faultyCalls).expect(400);
    assert.deepEqual(host.publishedTo, ['a', 'b', 'c']);
  });

  it('takes 10,000 items and refuses 100,000, also where the body may be larger', async () => {
    await start({ limits: { publishBytes: 20_000_000, publishItems: 10_000 } });
    const channels = Array.from({ length: 100_000 }, (_, i) => `c${i}`);
    await publish(publishBody(...channels.slice(0, 10_000))).expect(200);
    const answer = await publish(publishBody(...channels));
    assert.equal(answer.status, 400);
    assert.equal(answer.text, 'Invalid format: too many items (at most 10000 per request)\n');
    assert.equal(host.published.length, 10_000);
  });

  describe('with policies', () => {
    it('tells them who publishes from where', async () => {
      const seen: Publisher[] = [];
      await start({
        hooks: hooks((_publication, publisher) => void seen.push(publisher)),
        auth: { basic: [{ user: 'ann', password: 'secret' }] },
      });
      await publish(publishBody('a')).auth('ann', 'secret').set('X-Mark', 'm').expect(200);
      assert.deepEqual(seen[0]?.identity, { subject: 'ann', by: 'basic' });
      assert.match(seen[0]?.address ?? '', /^127\.0\.0\.1$/);
      assert.ok(seen[0]?.headers.includes('m'));
    });

    it('publishes nothing when one item is denied, with the status of the table', async () => {
      await start({
        hooks: hooks(({ channel }) => (channel === 'b' ? deny('forbidden', 'You may not publish to b.') : undefined)),
      });
      const answer = await publish(publishBody('a', 'b', 'c'));
      assert.equal(answer.status, 403);
      assert.equal(answer.text, 'You may not publish to b.\n');
      assert.deepEqual(host.published, []);
    });

    it('passes on when to try again', async () => {
      await start({
        hooks: hooks(() => deny('rate-limited', 'Too fast.', { retryAfterMs: 1500, headers: ['RateLimit', 'x'] })),
      });
      const answer = await publish(publishBody('a'));
      assert.equal(answer.status, 429);
      assert.equal(answer.headers['retry-after'], '2');
      assert.equal(answer.headers['ratelimit'], 'x');
    });

    it('waits for verdicts that take their time, and the first denial in the order of items counts', async () => {
      await start({
        hooks: hooks(async ({ channel }) => {
          await new Promise((resolve) => setTimeout(resolve, channel === 'a' ? 20 : 1));
          return channel === 'c' ? undefined : deny('forbidden', `Not ${channel}.`);
        }),
      });
      const answer = await publish(publishBody('c', 'a', 'b'));
      assert.equal(answer.text, 'Not a.\n');
      await publish(publishBody('c')).expect(200);
      assert.deepEqual(host.publishedTo, ['c']);
    });

    it('asks no policy about items after a denied one', async () => {
      const asked: string[] = [];
      await start({
        hooks: hooks(({ channel }) => {
          asked.push(channel);
          return deny('forbidden', 'No.');
        }),
      });
      await publish(publishBody('a', 'b')).expect(403);
      assert.deepEqual(asked, ['a']);
    });

    it('leaves out what a policy took for itself', async () => {
      await start({ hooks: hooks(({ channel }) => (channel === 'a' ? { kind: 'consumed' } : undefined)) });
      await publish(publishBody('a', 'b')).expect(200);
      assert.deepEqual(host.publishedTo, ['b']);
    });

    it('tells a publisher to wait where a policy would delay', async () => {
      await start({ hooks: hooks(() => ({ kind: 'delay', ms: 2000 })) });
      const answer = await publish(publishBody('a'));
      assert.equal(answer.status, 429);
      assert.equal(answer.headers['retry-after'], '2');
      assert.deepEqual(host.published, []);
    });

    it('survives a denial whose header fields cannot be sent', async () => {
      await start({ hooks: hooks(async () => deny('forbidden', 'No.', { headers: ['X', 'a\nb'] })) });
      const answer = await publish(publishBody('a'));
      assert.equal(answer.status, 500);
    });
  });

  describe('with a bus', () => {
    it('answers when the hand-over is done', async () => {
      await start();
      let done = false;
      host.handOver = async () => {
        await new Promise((resolve) => setTimeout(resolve, 10));
        done = true;
      };
      await publish(publishBody('a')).expect(200);
      assert.equal(done, true);
    });

    it('answers with the status of a failure, and logs it', async () => {
      const logged: unknown[] = [];
      await start({ log: { ...controlParts(new FakeHost()).log, error: (event) => void logged.push(event) } });
      host.handOver = async () => {
        throw new ForegateError('overloaded');
      };
      const answer = await publish(publishBody('a'));
      assert.equal(answer.status, 503);
      assert.equal(answer.text, 'Too much is waiting.\n');
      assert.deepEqual(logged, ['publish.failed']);
    });

    it('shows nothing of an error it does not know', async () => {
      await start();
      host.handOver = () => {
        throw new TypeError('secret detail');
      };
      const answer = await publish(publishBody('a'));
      assert.equal(answer.status, 500);
      assert.equal(answer.text, 'Something went wrong here.\n');
    });
  });
});
