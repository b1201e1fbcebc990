/** The commands that end by themselves: help, version, check, token, key, publish. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import jsonwebtoken, { type JwtPayload } from 'jsonwebtoken';
import { parse } from 'yaml';
import { foregate } from './command.ts';

/** Each run takes about half a second, more on a busy machine. */
const severalRuns = 40_000;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foregate-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('foregate', () => {
  it('prints help and the version everywhere', async () => {
    const packageJson = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
    const commands = [[], ['run'], ['check'], ['import'], ['publish'], ['token'], ['key']];
    const ends = await Promise.all(
      commands.map(
        async (command) => [await foregate([...command, '--help']), await foregate([...command, '--version'])] as const,
      ),
    );
    for (const [index, [help, version]] of ends.entries()) {
      const name = ['foregate', ...(commands[index] ?? [])].join(' ');
      deepEqual([help.code, version.code, version.stdout], [0, 0, `${packageJson.version}\n`], name);
      ok(help.stdout.startsWith(`Usage: ${name} `), help.stdout);
    }
    for (const command of ['run', 'check', 'import', 'publish', 'token', 'key'])
      match(ends[0]?.[0].stdout ?? '', new RegExp(`^  ${command} `, 'm'));
  }).timeout(severalRuns);

  it('ends with 1 for a command or option that it does not know', async () => {
    for (const args of [['rnu'], ['check', '--confg', 'x'], ['run', '--port', '70000'], ['run', '--port', 'x']]) {
      const { code, stderr } = await foregate(args, { cwd: folder });
      equal(code, 1, args.join(' '));
      match(stderr, /^error: /);
    }
  }).timeout(severalRuns);
});

describe('foregate check', () => {
  it('prints the settings of a right file, secrets hidden, and ends with 0', async () => {
    await writeFile(join(folder, 'foregate.yaml'), 'grip: { key: "${KEY}" }\nroutes: [{ id: a, target: "http://h" }]\n');
    const { code, stdout, stderr } = await foregate(['check'], { cwd: folder, env: { KEY: 'hunter2' } });
    deepEqual([code, stderr], [0, '']);
    match(stdout, /^ {2}key: "\*\*\*"$/m);
    match(stdout, /^ {2}- id: a$/m);
    match(stdout, /^ {4}idle: 30m$/m);
  });

  it('prints all that is wrong with a file and ends with 2', async () => {
    await writeFile(join(folder, 'other.yaml'), 'routes:\n  - id: a\n    target: http://h\n    policy: []\n    idle: 5\n');
    const { code, stdout, stderr } = await foregate(['check', '--config', 'other.yaml'], { cwd: folder });
    deepEqual([code, stdout], [2, '']);
    deepEqual(stderr.split('\n'), [
      'other.yaml:4:5   routes[0].policy  is not a known key; did you mean "policies"?',
      'other.yaml:5:11  routes[0].idle    does not have the right form (such as 500ms, 4s, 30m), found 5',
      '',
    ]);
  });

  it('says how to make a file when there is none, and ends with 2', async () => {
    const { code, stderr } = await foregate(['check'], { cwd: folder });
    equal(code, 2);
    match(stderr, /^foregate\.yaml +was not found\. Make one/);
  });

  it('explains what a request would meet: the route, its targets, and the policies in order with all their options', async () => {
    await writeFile(
      join(folder, 'foregate.yaml'),
      `defaults:
  policies: [{ use: rate-limit, connections: 5 }]
routes:
  - { id: chat, match: { host: chat.example, path: /chat, transports: [websocket] }, targets: ["http://one:1", "ws://two:2"], policies: [
      { use: api-key, keys: [{ key: hunter2, name: shop }] }, { use: quota, messages: 3, dryRun: true } ] }
  - { id: secure, match: { path: /chat, tls: true }, target: "http://three:3" }
  - { id: rest, match: { path: /chat }, target: "http://four:4" }
`,
    );
    const asked = async (...args: string[]) => foregate(['check', '--explain', ...args], { cwd: folder });
    const { code, stdout, stderr } = await asked('/chat/room?x=1', '--host', 'chat.example');
    deepEqual([code, stderr], [0, '']);
    const explained: unknown = parse(stdout);
    deepEqual(explained, {
      route: 'chat',
      match: { host: 'chat.example', path: '/chat', transports: ['websocket'], byId: 'never' },
      targets: [
        { url: 'http://one:1', dialect: 'websocket-over-http' },
        { url: 'ws://two:2', dialect: 'relay' },
      ],
      policies: [
        {
          use: 'api-key',
          keys: [{ key: '***', name: 'shop' }],
          from: { header: 'X-API-Key' },
          required: true,
          forward: false,
        },
        {
          use: 'quota',
          dryRun: true,
          messages: 3,
          period: 'day',
          timeZone: 'UTC',
          by: 'subject',
          over: 'close',
          legacyFields: false,
        },
      ],
    });
    match((await asked('/chat', '--host', 'chat.example', '--transport', 'http')).stdout, /^route: rest$[^]*use: rate-limit/m);
    match((await asked('/chat', '--tls')).stdout, /^route: secure$/m);
    equal((await asked('/other')).stdout, 'route: null\nstatus: 404\n');
    const wrong = await asked('chat');
    deepEqual([wrong.code, wrong.stdout], [1, '']);
    const all = await foregate(['check'], { cwd: folder });
    match(all.stdout, /- use: quota\n +dryRun: true$/m);
  }).timeout(severalRuns);

  it('finds options that only the policy itself can judge', async () => {
    await writeFile(join(folder, 'foregate.yaml'), 'routes: [{ id: a, target: "http://h", policies: [{ use: jwt }] }]\n');
    const { code, stderr } = await foregate(['check'], { cwd: folder });
    ok(code > 0);
    match(stderr, /secret.*publicKey.*jwks/);
  });
});

describe('foregate key', () => {
  it('prints a key of 256 bits, never the same, and the entry that a file of keys takes', async () => {
    const runs = await Promise.all([
      foregate(['key', '--name', 'the "shop"', '--expires', '2100-01-31']),
      foregate(['key', '--name', 'shop']),
    ]);
    const keys = runs.map(({ code, stdout }) => {
      equal(code, 0);
      const [key = '', entry = '', rest] = stdout.split('\n');
      match(key, /^fg_[\w-]{43}$/);
      equal(rest, '');
      const hash = createHash('sha256').update(key).digest('hex');
      ok(entry.includes(`hash: "sha256:${hash}"`), entry);
      return key;
    });
    equal(new Set(keys).size, 2);
    await writeFile(join(folder, 'keys.yaml'), runs.map(({ stdout }) => stdout.split('\n')[1]).join('\n'));
    const routes = 'routes: [{ id: a, target: "http://h", policies: [{ use: api-key, file: keys.yaml }] }]\n';
    await writeFile(join(folder, 'foregate.yaml'), routes);
    const { code, stdout, stderr } = await foregate(['check'], { cwd: folder });
    deepEqual([code, stderr], [0, '']);
    ok(!stdout.includes('sha256'));
  }).timeout(severalRuns);

  it('wants a name, and an end that is to come', async () => {
    for (const args of [[], ['--name', 'x', '--expires', 'soon'], ['--name', 'x', '--expires', '2020-01-01']]) {
      const { code, stdout } = await foregate(['key', ...args]);
      deepEqual([code, stdout], [1, ''], args.join(' '));
    }
  }).timeout(severalRuns);
});

describe('foregate token', () => {
  it('signs with a secret, and says what it is told to', async () => {
    const args = ['--key', 'abc', '--subject', 'ann', '--issuer', 'app', '--audience', 'chat', '--expires', '5m'];
    const claims = ['--claim', 'admin=true', '--claim', 'rooms=["a","b"]', '--claim', 'name=Ann Example', '--claim', 'x=a=b'];
    const { code, stdout } = await foregate(['token', ...args, ...claims]);
    equal(code, 0);
    const verified = jsonwebtoken.verify(stdout.trim(), 'abc', {
      algorithms: ['HS256'],
      issuer: 'app',
      audience: 'chat',
      subject: 'ann',
    }) as JwtPayload;
    deepEqual([verified['admin'], verified['rooms'], verified['name'], verified['x']], [true, ['a', 'b'], 'Ann Example', 'a=b']);
    equal((verified.exp ?? 0) - (verified.iat ?? 0), 300);
  });

  it('signs with the bytes of a base64 secret, and with another algorithm', async () => {
    const { stdout } = await foregate([
      'token',
      '--key',
      `base64:${Buffer.from([1, 2, 250]).toString('base64')}`,
      '--algorithm',
      'HS512',
    ]);
    ok(jsonwebtoken.verify(stdout.trim(), Buffer.from([1, 2, 250]), { algorithms: ['HS512'] }));
  });

  it('signs with a private key from a file, by the algorithm that fits', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await writeFile(join(folder, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const { stdout } = await foregate(['token', '--key', 'file:key.pem'], { cwd: folder });
    ok(jsonwebtoken.verify(stdout.trim(), publicKey.export({ type: 'spki', format: 'pem' }), { algorithms: ['ES256'] }));
  });

  it('ends with 1 and one line for keys, algorithms and times that cannot be used', async () => {
    const wrong = [
      ['--key', 'file:nowhere'],
      ['--key', '-----BEGIN PRIVATE KEY-----\nhunter2'],
      ['--key', 'hunter2', '--algorithm', 'RS256'],
      ['--key', 'hunter2', '--algorithm', 'none'],
      ['--key', 'hunter2', '--expires', 'soon'],
      ['--key', 'hunter2', '--claim', 'novalue'],
      [],
    ];
    for (const args of wrong) {
      const { code, stdout, stderr } = await foregate(['token', ...args], { cwd: folder });
      deepEqual([code, stdout], [1, ''], args.join(' '));
      ok(!stderr.includes('hunter2') && !stderr.includes('    at '), stderr);
    }
  }).timeout(severalRuns);
});

describe('foregate publish', () => {
  interface Call {
    readonly method: string | undefined;
    readonly url: string | undefined;
    readonly headers: IncomingHttpHeaders;
    readonly body: unknown;
  }

  let server: Server;
  let url: string;
  let calls: Call[];
  let status: number;
  beforeEach(async () => {
    calls = [];
    status = 200;
    server = createServer((request, response) => {
      void json(request).then((body) => {
        calls.push({ method: request.method, url: request.url, headers: request.headers, body });
        response.writeHead(status).end(status === 200 ? 'Published\n' : 'no such luck\n');
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `127.0.0.1:${(server.address() as AddressInfo).port}`; // A TCP server has no other kind of address.
  });
  afterEach(() => {
    server.close();
    server.closeAllConnections();
  });

  it('sends one item in all three formats', async () => {
    const { code } = await foregate([
      'publish',
      'news',
      'hello',
      '--url',
      `http://${url}/`,
      '--id',
      '2',
      '--prev-id',
      '1',
      '--sender',
      'ann',
      '--meta',
      'a=b=c',
    ]);
    equal(code, 0);
    const [call] = calls;
    deepEqual(
      [call?.method, call?.url, call?.headers['content-type'], call?.headers.authorization],
      ['POST', '/publish/', 'application/json', undefined],
    );
    ok(Number(call?.headers['content-length']) > 0);
    deepEqual(call?.body, {
      items: [
        {
          channel: 'news',
          id: '2',
          'prev-id': '1',
          meta: { a: 'b=c', sender: 'ann' },
          formats: {
            'ws-message': { content: 'hello' },
            'http-stream': { content: 'hello\n' },
            'http-response': { body: 'hello\n' },
          },
        },
      ],
    });
  });

  it('closes a channel', async () => {
    equal((await foregate(['publish', 'news', '--close', '--url', `http://${url}/`])).code, 0);
    deepEqual(calls[0]?.body, {
      items: [
        {
          channel: 'news',
          formats: { 'ws-message': { action: 'close', code: 1000, reason: '' }, 'http-stream': { action: 'close', content: '' } },
        },
      ],
    });
  });

  it('takes place and credentials from GRIP_URL: a token made with a key, a token as it is, or Basic', async () => {
    const publish = (gripUrl: string): Promise<unknown> => foregate(['publish', 'news', 'hello'], { env: { GRIP_URL: gripUrl } });
    await publish(`http://${url}/base/?iss=app&key=base64:c2VjcmV0`);
    await publish(`http://${url}/?key=just-a-token`);
    await publish(`http://ann:p%40ss@${url}/`);
    deepEqual(
      calls.map((call) => call.url),
      ['/base/publish/', '/publish/', '/publish/'],
    );
    const [signed = '', plain, basic] = calls.map(({ headers }) => headers.authorization);
    ok(jsonwebtoken.verify(signed.replace('Bearer ', ''), 'secret', { algorithms: ['HS256'], issuer: 'app' }));
    equal(plain, 'Bearer just-a-token');
    equal(basic, `Basic ${Buffer.from('ann:p@ss').toString('base64')}`);
  }).timeout(severalRuns);

  it('ends with 1 and says why when it is refused, nobody is there, or something is missing', async () => {
    status = 403;
    const refused = await foregate(['publish', 'news', 'hello', '--url', `http://${url}/`]);
    deepEqual([refused.code, refused.stdout], [1, '']);
    match(refused.stderr, /answered 403: no such luck$/m);
    for (const args of [
      ['news'],
      ['news', 'hello', '--url', 'http://127.0.0.1:1/?key=hunter2'],
      ['news', 'hello', '--url', 'hunter2'],
      ['news', 'x', '--meta', 'y'],
    ]) {
      const { code, stderr } = await foregate(['publish', ...args]);
      equal(code, 1, args.join(' '));
      ok(stderr !== '' && !stderr.includes('hunter2') && !stderr.includes('    at '), stderr);
    }
    equal(calls.length, 1);
  }).timeout(severalRuns);
});
