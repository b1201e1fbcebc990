/** Which names and passwords get in, what the file of them may look like, and what happens when it changes. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { limits } from '../../gateway/core/limits.ts';
import { silentLog, type LogFields } from '../../gateway/core/log.ts';
import type { Policy, ConnectVerdict } from '../../gateway/core/policy.ts';
import { isPromise } from '../../gateway/core/promise.ts';
import { connect, createPolicy, ManualClock, testSession } from '../../gateway/testing/index.ts';
import { basic } from '../../policies/basic.ts';
import { passwordCheck } from '../../policies/password-hash.ts';
import { clearStage, setStage } from '../protocol/stage.ts';
import { refusedClient } from '../support/client.ts';

const fixture = fileURLToPath(new URL('../fixtures/passwords', import.meta.url));
const authorization = (name: string, password: string): string =>
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;

describe('basic', () => {
  let directory: string;
  let clock: ManualClock;
  const log: (readonly [string, LogFields | undefined])[] = [];
  const note = (event: string, more?: LogFields): void => void log.push([event, more]);

  const make = (file = fixture, options: object = {}): Promise<Policy> =>
    createPolicy(basic, { file, ...options }, { clock, directory, log: { ...silentLog, info: note, error: note } });
  const arriving = (...values: readonly string[]) =>
    testSession({ headers: values.flatMap((value) => ['Authorization', value]) });
  const arrive = async (policy: Policy, name: string, password: string): Promise<ConnectVerdict> =>
    (await connect(policy, arriving(authorization(name, password)))).verdict;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'foregate-basic-'));
    clock = new ManualClock();
    log.length = 0;
  });
  afterEach(async () => {
    await clearStage();
    await rm(directory, { recursive: true });
  });

  it('lets in who knows the password, of every kind of hash', async () => {
    const policy = await make();
    for (const [name, password] of [
      ['ann', 'nna'],
      ['bob', 'bob'],
      ['eve', 'eve'],
      ['jöns', 'snöj'],
    ] as const) {
      const session = arriving(authorization(name, password));
      assert.equal((await connect(policy, session)).verdict, undefined, name);
      assert.deepEqual(session.identity, { subject: name, by: 'basic' });
      assert.deepEqual(session.consumed, [{ in: 'header', name: 'Authorization' }]);
    }
  });

  const vectors: readonly (readonly [password: string, hash: string])[] = [
    ['Hello world!', '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1'],
    ['Hello world!', '$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA'],
    ['ü€', '$apr1$ab/.cdEF$NWGwsO1qnIkPQAQfaI53t/'],
    ['x-long-password-of-more-than-sixty-four-bytes-to-be-hashed-with-all-of-them', '$apr1$ab/.cdEF$EQUcvcjdhFZcYgc7v3v6u0'],
    [
      'x-long-password-of-more-than-sixty-four-bytes-to-be-hashed-with-all-of-them',
      '$6$ab/.cdEF$8g7.7iMfuzgQgRdOmmwiEDjsFaTWUd2RqOEt.TIrj7/QAs6BuPl9UTuOJuI5mcjVASVjE/cZcqpDF9LpOJHJe/',
    ],
  ];
  for (const [password, hash] of vectors) {
    it(`makes the hash that others make: ${hash.slice(0, 24)}`, async () => {
      const check = passwordCheck(hash);
      assert.ok(typeof check === 'function');
      assert.equal(await check(password), true);
      for (const other of ['', `${password}x`, password.slice(1), password.toUpperCase()])
        assert.equal(await check(other), false);
    });
  }

  it('knows passwords by the bcrypt of others, of every name that it has', async () => {
    const known: readonly (readonly [password: string, hash: string])[] = [
      ['U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
      ['U*U*', '$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK'],
      ['U*U*', '$2y$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK'],
    ];
    for (const [password, hash] of known) {
      const check = passwordCheck(hash);
      assert.ok(typeof check === 'function');
      assert.equal(await check(password), true, hash);
      for (const other of ['', `${password}x`, password.slice(1), password.toLowerCase()])
        assert.equal(await check(other), false);
    }
  });

  it('hashes bcrypt beside everybody else, one at a time', async () => {
    const file = await write('amy:$2b$12$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK\n');
    const policy = await make(file);
    const verdicts = ['a', 'b'].map((guess) => arrive(policy, 'amy', guess));
    let turns = 0;
    const turn = (): void => void ((turns += 1), (ticking = setImmediate(turn)));
    let ticking = setImmediate(turn);
    for (const verdict of await Promise.all(verdicts)) assertRefused(verdict, /wrong/);
    clearImmediate(ticking);
    assert.ok(turns > 50, `${turns} turns`);
  }).timeout(20_000);

  it('refuses everybody else, and tells nobody whether the name was known', async () => {
    const policy = await make();
    const verdicts = [await arrive(policy, 'ann', 'bob'), await arrive(policy, 'nobody', 'bob'), await arrive(policy, '', '')];
    for (const verdict of verdicts) {
      assertRefused(verdict, /^Name or password is wrong\.$/);
      assert.deepEqual(verdict?.kind === 'deny' && verdict.headers, [
        'WWW-Authenticate',
        'Basic realm="Foregate", charset="UTF-8"',
      ]);
    }
    assertRefused(await arrive(policy, 'ann', '{SHA}'), /wrong/);
    assertRefused(await arrive(policy, 'bob', 'x'.repeat(3000)), /wrong/);
  });

  const unclear: readonly (readonly [what: string, values: readonly string[], why: RegExp])[] = [
    ['nothing', [], /needed/],
    ['another scheme', ['Bearer abc'], /needed/],
    ['a scheme without more', ['Basic'], /needed/],
    ['two fields', [authorization('ann', 'nna'), authorization('ann', 'nna')], /more than one/],
    ['a second field of another scheme', [authorization('ann', 'nna'), 'Bearer x'], /more than one/],
    ['two in one field', [`${authorization('ann', 'nna')}, ${authorization('bob', 'bob')}`], /needed/],
    ['no colon', [`Basic ${Buffer.from('ann').toString('base64')}`], /malformed/],
    ['something that is not base64', ['Basic YW5uOm5uYQ$'], /malformed/],
    ['base64 with more bits than bytes', ['Basic YW5uOm5uYR=='], /malformed/],
    ['a control character', [authorization('ann', 'nna\u0000')], /malformed/],
    ['100 KB', [authorization('ann', 'x'.repeat(100_000))], /too long/],
  ];
  for (const [what, values, why] of unclear) {
    it(`refuses ${what}`, async () => {
      assertRefused((await connect(await make(), arriving(...values))).verdict, why);
    });
  }

  it('hashes a right password once, and a wrong one each time', async () => {
    const policy = await make();
    await arrive(policy, 'eve', 'eve');
    assert.equal(isPromise(policy.connect?.(arriving(authorization('eve', 'eve')), [])), false);
    const wrong = policy.connect?.(arriving(authorization('eve', 'ev')), []);
    assert.ok(isPromise(wrong ?? undefined));
    assertRefused(await wrong, /wrong/);
    assertRefused(await arrive(policy, 'ev', 'e:eve'), /wrong/);
    clock.advance(300_000);
    const later = policy.connect?.(arriving(authorization('eve', 'eve')), []);
    assert.ok(isPromise(later ?? undefined));
    assert.equal(await later, undefined);
  });

  it('lets only so many wait for a slow hash, and gives way to everybody else meanwhile', async () => {
    const policy = await make();
    const verdicts = Array.from({ length: limits.passwordChecks + 10 }, (_, i) => arrive(policy, 'bob', `guess-${i}`));
    let turns = 0;
    const turn = (): void => void ((turns += 1), (ticking = setImmediate(turn)));
    let ticking = setImmediate(turn);
    const settled = await Promise.all(verdicts);
    clearImmediate(ticking);
    const codes = settled.map((verdict) => (verdict?.kind === 'deny' ? verdict.code : ''));
    assert.equal(codes.filter((code) => code === 'overloaded').length, 10);
    assert.ok(turns > limits.passwordChecks);
    assert.equal(await arrive(policy, 'bob', 'bob'), undefined);
  }).timeout(20_000);

  it('reads a changed file without being told, and takes no password that was right before', async () => {
    const file = await write('ann:{SHA}h/hRyeKQTf07w6uBe0pDKwx2uTA=');
    const policy = await make(file);
    assertRefused(await arrive(policy, 'bob', 'bob'), /wrong/);
    const bob = (await readFile(fixture, 'utf8')).split('\n').find((line) => line.startsWith('bob'));
    await write(`${bob}\n`);
    clock.advance(1000);
    assert.equal(await arrive(policy, 'bob', 'bob'), undefined);
    await write('ann:{SHA}h/hRyeKQTf07w6uBe0pDKwx2uTA=\n', 'replacement');
    await rename(join(directory, 'replacement'), file);
    assert.equal(await arrive(policy, 'bob', 'bob'), undefined);
    clock.advance(1000);
    assertRefused(await arrive(policy, 'bob', 'bob'), /wrong/);
    assert.deepEqual(
      log.map(([event]) => event),
      ['basic.file-read', 'basic.file-read'],
    );
  });

  it('keeps what it has when the file breaks or goes, says so once, and reads it when it is good again', async () => {
    const good = await readFile(fixture, 'utf8');
    const file = await write(good);
    const policy = await make('passwords');
    for (const broken of ['ann:geheim', '']) {
      await write(broken);
      for (let i = 0; i < 3; i += 1) {
        clock.advance(1000);
        assert.equal(await arrive(policy, 'ann', 'nna'), undefined);
      }
    }
    await rm(file);
    clock.advance(1000);
    assert.equal(await arrive(policy, 'ann', 'nna'), undefined);
    assert.deepEqual(
      log.map(([event]) => event),
      ['basic.file-broken', 'basic.file-broken', 'basic.file-broken'],
    );
    assert.match(JSON.stringify(log[0]), /passwords:1 has no hash/);
    assert.doesNotMatch(JSON.stringify(log), /geheim/);
    await write(good.replace('ann:', 'amy:'));
    clock.advance(1000);
    assert.equal(await arrive(policy, 'amy', 'nna'), undefined);
  });

  const faults: readonly (readonly [what: string, text: string, why: RegExp])[] = [
    ['bcrypt that was cut', 'a:$2y$05$geheimgeheimgeheimgehe', /passwords:1 has no hash that is supported.*htpasswd -B/],
    ['bcrypt of the broken kind', `a:$2x$05$geheim${'a'.repeat(47)}`, /:1 has no hash/],
    ['bcrypt that takes minutes', `a:$2y$15$geheim${'a'.repeat(47)}`, /:1 has a bcrypt cost of 15, .* 4 to 14/],
    ['a plain password', '# users\n\na:geheim', /passwords:3 has no hash that is supported/],
    ['the old crypt', 'a:geheim4567890', /:1 has no hash/],
    ['no password', 'geheim', /:1 is not of the form/],
    ['no name', ':{SHA}h/hRyeKQTf07w6uBe0pDKwx2uTA=', /:1 is not of the form/],
    ['a hash that was cut', 'a:$apr1$ab/.cdEF$NWGwsO1qnIkPQAQf', /:1 has no hash/],
    ['too many rounds', 'a:$6$rounds=900000000$geheim$abc', /:1 has 900000000 rounds/],
    ['a user twice', 'a:{SHA}h/hRyeKQTf07w6uBe0pDKwx2uTA=\na:{SHA}h/hRyeKQTf07w6uBe0pDKwx2uTA=', /:2 has a user/],
    ['nobody', '# nobody\n', /holds no user/],
    ['a megabyte', '#'.repeat(1_000_001), /larger than/],
  ];
  for (const [what, text, why] of faults) {
    it(`refuses a file with ${what}, with its line and nothing of it`, async () => {
      const file = await write(text);
      await assert.rejects(make(file), (error: Error) => why.test(error.message) && !error.message.includes('geheim'));
    });
  }

  it('stands before a backend, which does not see the password unless it shall', async () => {
    const policies = [{ use: 'basic', file: fixture, realm: 'The chat' }];
    const { url, open, backend } = await setStage({ route: { policies } });
    const refusal = await refusedClient(url.replace('http', 'ws'));
    assert.equal(refusal.status, 401);
    assert.equal(refusal.headers['www-authenticate'], 'Basic realm="The chat", charset="UTF-8"');
    await open('/', { headers: { authorization: authorization('ann', 'nna') } });
    assert.equal(backend.requests[0]?.headers.authorization, undefined);
    const forwarding = await setStage({ route: { policies: [{ use: 'basic', file: fixture, forward: true }] } });
    await fetch(forwarding.url, { headers: { authorization: authorization('ann', 'nna') } });
    assert.equal(forwarding.backend.requests[0]?.headers.authorization, authorization('ann', 'nna'));
  });

  async function write(text: string, name = 'passwords'): Promise<string> {
    const path = join(directory, name);
    await writeFile(path, text);
    return path;
  }
});

function assertRefused(verdict: ConnectVerdict, why: RegExp): void {
  assert.ok(verdict?.kind === 'deny', 'not denied');
  assert.equal(verdict.code, 'unauthorized');
  assert.match(verdict.detail, why);
}
