/** Several ways in, of which one is enough: over real sockets, and what stays of the lists that refused. */
import assert from 'node:assert/strict';
import jsonwebtoken from 'jsonwebtoken';
import { anyOf } from '../../gateway/core/any-of.ts';
import { silentLog } from '../../gateway/core/log.ts';
import { noMetrics } from '../../gateway/core/metrics.ts';
import { deny, type Policy } from '../../gateway/core/policy.ts';
import type { SessionView } from '../../gateway/core/session.ts';
import { effectiveSettings } from '../../gateway/config/effective.ts';
import { shareableRoute } from '../../gateway/config/shareable.ts';
import { testSession, textMessage } from '../../gateway/testing/index.ts';
import { clearStage, setStage, type Stage } from '../protocol/stage.ts';
import { refusedClient } from '../support/client.ts';
import { loadSettings } from '../support/gateway.ts';

const secret = 'a secret of thirty-two bytes or more';
const tokenOf = (claims: object, options: jsonwebtoken.SignOptions = { expiresIn: '1h' }): string =>
  jsonwebtoken.sign(claims, secret, options);
const bearer = (token: string): object => ({ headers: { Authorization: `Bearer ${token}` } });

const jwt = { use: 'jwt', secret, algorithms: ['HS256'] };
const apiKey = { use: 'api-key', keys: [{ key: 'k1', name: 'shop' }], from: { header: 'apikey' } };

describe('any-of', () => {
  afterEach(clearStage);

  let seen: SessionView | undefined;

  const setUp = (of: readonly unknown[]): Promise<Stage> =>
    setStage({
      route: { policies: [{ use: 'any-of', of }] },
      policy: {
        connect(session) {
          seen = session;
          return undefined;
        },
      },
    });

  it('lets in whom one of its policies lets in, as that policy knows the client', async () => {
    const { open } = await setUp([jwt, apiKey]);
    await open('/', bearer(tokenOf({ sub: 'ann' })));
    assert.deepEqual([seen?.identity?.subject, seen?.identity?.by], ['ann', 'jwt']);
    await open('/', { headers: { apikey: 'k1' } });
    assert.deepEqual([seen?.identity?.subject, seen?.identity?.by], ['shop', 'api-key']);
  });

  it('tells who has no credential of every way in, and who has a bad one what is wrong with it', async () => {
    const { url } = await setUp([jwt, apiKey]);
    const ws = url.replace('http', 'ws');
    const none = await refusedClient(ws);
    assert.deepEqual([none.status, none.headers['www-authenticate']], [401, 'Bearer, ApiKey']);
    const old = await refusedClient(ws, bearer(tokenOf({ sub: 'ann', exp: 1 }, {})));
    assert.match(String(old.headers['www-authenticate']), /invalid_token.*ApiKey/);
  });

  it('wants all of a list, and nothing of an empty one', async () => {
    const { open, backend } = await setUp([[apiKey, { use: 'origin', allow: ['https://shop.example'] }], []]);
    await open('/', { headers: { apikey: 'k1', Origin: 'https://shop.example' } });
    assert.equal(seen?.identity?.subject, 'shop');
    await open('/', { headers: { apikey: 'k1', Origin: 'https://other.example' } });
    assert.equal(seen?.identity, undefined);
    // A list that refused has used up no credential.
    assert.deepEqual(
      backend.requests.map(({ headers }) => headers['apikey']),
      [undefined, 'k1'],
    );
  });

  it('asks only the list that let the client in about its messages', async () => {
    const limit = { use: 'rate-limit', messages: 1, window: '1m', by: 'session', over: 'close' };
    const { open } = await setUp([[apiKey, limit], []]);
    const [limited, free] = [await open('/', { headers: { apikey: 'k1' } }), await open('/')];
    for (const client of [limited, free]) for (const text of ['1', '2']) client.send(text);
    assert.equal((await limited.closed()).code, 4429);
    assert.deepEqual([await free.nextText(), await free.nextText()], ['1', '2']);
  });

  it('shows its lists without secrets', async () => {
    const routes = [{ id: 'a', target: 'http://127.0.0.1:1', policies: [{ use: 'any-of', of: [jwt, [apiKey]] }] }];
    const loaded = await loadSettings({ routes });
    assert.doesNotMatch(effectiveSettings(loaded), /thirty-two|k1/);
    assert.match(effectiveSettings(loaded), /use: any-of\n +of:\n +- - use: jwt/);
    const shared = shareableRoute(loaded, 0);
    assert.doesNotMatch(JSON.stringify(shared), /thirty-two|k1/);
    assert.deepEqual(shared.leftOut, ['policies[0].of[0][0].secret', 'policies[0].of[1][0].keys[0].key']);
  });
});

describe('a list that refused', () => {
  const made = async (...lists: readonly (readonly Policy[])[]): Promise<Policy> => {
    const of = lists.map((list) => list.map((policy) => ['one', policy] as const));
    return anyOf.create({ of } as never, { log: silentLog, metrics: noMetrics } as never);
  };
  const refuses: Policy = { connect: () => deny('forbidden', 'No.') };

  it('changes nothing later, when what it began goes on', async () => {
    let late: SessionView | undefined;
    const sets: Policy = {
      connect(session) {
        late = session;
        session.identity = { subject: 'early', by: 'test' };
        session.end(deny('expired-token', 'Soon.'));
        return undefined;
      },
    };
    const session = testSession();
    assert.equal(await (await made([sets, refuses], [])).connect?.(session, []), undefined);
    assert.deepEqual([session.identity, session.ended], [undefined, undefined]);
    assert.ok(late);
    late.identity = { subject: 'late', by: 'test' };
    late.end(deny('expired-token', 'Late.'));
    late.send(textMessage('late'));
    assert.deepEqual([session.identity, session.ended, session.sent], [undefined, undefined, []]);
  });

  it('hears of the end as the one that held does, and those not tried do not', async () => {
    const ends: string[] = [];
    const named = (name: string): Policy => ({ disconnect: () => void ends.push(name) });
    const policy = await made([named('first'), refuses], [named('second')], [named('third')]);
    const session = testSession();
    await policy.connect?.(session, []);
    policy.disconnect?.(session);
    assert.deepEqual(ends, ['first', 'second']);
  });

  it('has the session ended that its successor wanted to end at once', async () => {
    const session = testSession();
    const policy = await made([refuses], [{ connect: (arrived) => arrived.end(deny('revoked', 'Gone.')) as undefined }]);
    await policy.connect?.(session, []);
    assert.equal(session.ended?.code, 'revoked');
  });

  it('is followed by the next when it throws, and everybody is refused where all do', async () => {
    const throws: Policy = {
      connect() {
        throw new TypeError('broken');
      },
    };
    assert.equal(await (await made([throws], [])).connect?.(testSession(), []), undefined);
    const verdict = await (await made([throws], [throws])).connect?.(testSession(), []);
    assert.equal(verdict?.kind === 'deny' && verdict.code, 'policy-failed');
  });

  it('lets nobody speak whom no list let in', async () => {
    const policy = await made([{ message: () => undefined }], []);
    const verdict = await policy.message?.(testSession(), textMessage('hello'));
    assert.equal(verdict?.kind, 'deny');
  });
});
