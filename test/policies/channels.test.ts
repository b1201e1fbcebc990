/** Which channels a session joins: patterns alone, then over real sockets for sockets, streams, held responses and the route itself. */
import assert from 'node:assert/strict';
import jsonwebtoken from 'jsonwebtoken';
import { channelName } from '../../gateway/core/ids.ts';
import type { Identity } from '../../gateway/core/session.ts';
import { createPolicy, testSession } from '../../gateway/testing/index.ts';
import { channels } from '../../policies/channels.ts';
import { byPath, held, setHoldStage, stream, takeAnswer, takeChunk } from '../protocol/holds.ts';
import { acceptedWithGrip, clearStage, eventually, setStage } from '../protocol/stage.ts';
import { text } from '../support/backend.ts';

afterEach(clearStage);

async function verdictOn(options: object, channel: string, identity?: Partial<Identity>) {
  const policy = await createPolicy(channels, options);
  const session = testSession();
  session.identity = identity && { subject: '', by: 'jwt', ...identity };
  return policy.subscribe?.(session, channelName(channel));
}

describe('patterns of channels', () => {
  const ann: Partial<Identity> = {
    subject: 'ann',
    claims: { org: 'acme', id: 7, a: { b: 'deep' }, 'https://id.example/x.y': 'z' },
  };
  const cases: readonly (readonly [pattern: string, identity: Partial<Identity> | undefined, channel: string, fits: boolean])[] =
    [
      ['news', undefined, 'news', true],
      ['news', undefined, 'news2', false],
      ['news', undefined, 'new', false],
      ['news', undefined, 'NEWS', false],
      ['*', undefined, 'anything at all', true],
      ['news-*', undefined, 'news-', true],
      ['news-*', undefined, 'news-a-b', true],
      ['news-*', undefined, 'old-news-a', false],
      ['*-news', undefined, 'a-news', true],
      ['*-news', undefined, 'a-news-b', false],
      ['a*b*c', undefined, 'a-b-b-c', true],
      ['a*b*c', undefined, 'a-c-b', false],
      ['a*b*c', undefined, 'abc', true],
      ['ab*ba', undefined, 'aba', false],
      ['ab*ba', undefined, 'abba', true],
      ['a*bc*cd', undefined, 'abcd', false],
      ['a.c', undefined, 'abc', false],
      ['user-{sub}', ann, 'user-ann', true],
      ['user-{sub}', ann, 'user-anna', false],
      ['user-{sub}', ann, 'user-', false],
      ['user-{sub}', ann, 'user-{sub}', false],
      ['user-{sub}', undefined, 'user-', false],
      ['user-{sub}', undefined, 'user-undefined', false],
      ['user-{sub}*', undefined, 'user-ann', false],
      ['*{sub}', undefined, 'user-', false],
      ['a*{sub}*b', undefined, 'ab', false],
      ['user-{sub}', { subject: '*' }, 'user-ann', false],
      ['user-{sub}', { subject: '*' }, 'user-*', true],
      ['user-{sub}', { subject: '{claims.org}', claims: { org: 'acme' } }, 'user-acme', false],
      ['org-{claims.org}-*', ann, 'org-acme-all', true],
      ['org-{claims.org}-*', ann, 'org-other-all', false],
      ['org-{claims.org}-*', { claims: { org: '*' } }, 'org-acme-all', false],
      ['org-{claims.org}-*', { claims: { org: '' } }, 'org--all', false],
      ['org-{claims.org}', { claims: { org: ['acme'] } }, 'org-acme', false],
      ['org-{claims.org}', { claims: { org: { toString: 'acme' } } }, 'org-[object Object]', false],
      ['org-{claims.org}', { claims: { org: null } }, 'org-null', false],
      ['org-{claims.org}', { claims: { org: true } }, 'org-true', false],
      ['org-{claims.org}', { claims: {} }, 'org-undefined', false],
      ['org-{claims.org}', {}, 'org-undefined', false],
      ['org-{claims.constructor}', { claims: {} }, 'org-function Object() { [native code] }', false],
      ['org-{claims.constructor.name}', { claims: {} }, 'org-Object', false],
      ['number-{claims.id}', ann, 'number-7', true],
      ['number-{claims.id}', { claims: { id: 1.5 } }, 'number-1.5', false],
      ['{claims.a.b}', ann, 'deep', true],
      ['{claims.a.c}', ann, 'deep', false],
      ['{claims.org.length}', ann, '4', false],
      ['{claims.https://id.example/x.y}', ann, 'z', true],
      ['{sub}-{claims.org}', ann, 'ann-acme', true],
    ];
  for (const [pattern, identity, channel, fits] of cases) {
    const who = identity === undefined ? 'a stranger' : JSON.stringify(identity);
    it(`"${pattern}" ${fits ? 'fits' : 'does not fit'} ${channel} for ${who}`, async () => {
      assert.equal((await verdictOn({ allow: [pattern] }, channel, identity)) === undefined, fits);
      assert.equal((await verdictOn({ deny: [pattern] }, channel, identity)) !== undefined, fits);
    });
  }

  it('is done in time for a name made to be slow', async () => {
    const pattern = `${'a*'.repeat(200)}b`;
    const started = performance.now();
    assert.ok(await verdictOn({ allow: [pattern] }, 'a'.repeat(1024)));
    assert.ok(performance.now() - started < 2000);
  });

  it('a denied channel stays denied, whatever is allowed', async () => {
    const options = { allow: ['a-*'], deny: ['a-secret*'] };
    assert.equal(await verdictOn(options, 'a-open'), undefined);
    assert.ok(await verdictOn(options, 'a-secret-1'));
    assert.ok(await verdictOn(options, 'b-open'));
  });
});

const secret = 'a secret of thirty-two bytes or more';
const jwt = { use: 'jwt', secret };
const annsToken = { Authorization: `Bearer ${jsonwebtoken.sign({ sub: 'ann', org: 'acme' }, secret)}` };
const wants = (...names: string[]) => names.map((channel) => text(`c:${JSON.stringify({ type: 'subscribe', channel })}`));

describe('the policy channels over sockets', () => {
  it('lets a session join its own channels, and leaves it open without others', async () => {
    const stage = await setStage({
      answer: () => acceptedWithGrip([...wants('user-bob', 'user-ann', 'org-acme-all'), text('m:ready')]),
      route: { policies: [jwt, { use: 'channels', allow: ['user-{sub}', 'org-{claims.org}-*'] }] },
    });
    const client = await stage.open('/', { headers: annsToken });
    assert.equal(await client.nextText(), 'ready');
    await eventually(async () => (await stage.members('org-acme-all')) === 1);
    await stage.say('user-bob', 'for bob');
    await stage.say('user-ann', 'for ann');
    assert.equal(await client.nextText(), 'for ann');
    assert.equal(await stage.members('user-bob'), 0);
  });

  it('closes with 4403 where it is told to', async () => {
    const stage = await setStage({
      answer: () => acceptedWithGrip(wants('user-bob')),
      route: { policies: [jwt, { use: 'channels', allow: ['user-{sub}'], over: 'close' }] },
    });
    const client = await stage.open('/', { headers: annsToken });
    assert.deepEqual(await client.closed(), { code: 4403, reason: 'A channel may not be joined.' });
    assert.equal(await stage.members('user-bob'), 0);
  });

  it('sees names with the prefix of the route, as publishers write them', async () => {
    const stage = await setStage({
      answer: () => acceptedWithGrip([...wants('news'), text('m:ready')]),
      route: { channelPrefix: 'chat-', policies: [{ use: 'channels', allow: ['chat-news'] }] },
    });
    const client = await stage.open();
    assert.equal(await client.nextText(), 'ready');
    await eventually(async () => (await stage.members('chat-news')) === 1);
  });

  it('holds for the channels of a target too', async () => {
    const stage = await setStage({
      target: { channels: ['all', 'other'] },
      route: { policies: [{ use: 'channels', deny: ['all'] }] },
    });
    await stage.open();
    await eventually(async () => (await stage.members('other')) === 1);
    assert.equal(await stage.members('all'), 0);
  });

  it('holds for streams and held responses, and answers or ends them where it is told to close', async () => {
    const answer = byPath({ '/events': stream('user-ann, user-bob', {}, 'first'), '/poll': held('user-bob') });
    const own = { use: 'channels', allow: ['user-{sub}'] };
    const headers = [`Authorization: ${annsToken.Authorization}`];
    const lenient = await setHoldStage({ answer, route: { policies: [jwt, own] } });
    const events = await lenient.request('/events', { headers });
    await events.takeHead();
    assert.equal(await takeChunk(events), 'first');
    await lenient.joined('user-ann');
    assert.equal(await lenient.members('user-bob'), 0);
    const strict = await setHoldStage({ answer, route: { policies: [jwt, { ...own, over: 'close' }] } });
    assert.equal((await takeAnswer(await strict.request('/poll', { headers }))).status, 403);
    const ended = await strict.request('/events', { headers });
    await ended.takeHead();
    assert.deepEqual([await takeChunk(ended), await takeChunk(ended)], ['first', '']);
  });
});
