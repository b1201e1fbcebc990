/** What a right configuration file becomes. */
import { deepEqual, equal, match, notEqual, ok, rejects, throws } from 'node:assert/strict';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { parse } from 'yaml';
import { parts } from '../../gateway/parts.ts';
import { effectiveSettings } from '../../gateway/config/effective.ts';
import { loadConfig, loadText, type LoadedConfig } from '../../gateway/config/load.ts';
import { exampleConfiguration } from '../../gateway/config/reference.ts';
import { ConfigError } from '../../gateway/core/problem.ts';
import { limits } from '../../gateway/core/limits.ts';

const smallest = 'routes: [{ id: main, target: "http://127.0.0.1:8080" }]';

function load(text: string, environment: Record<string, string> = {}): Promise<LoadedConfig> {
  return loadText('foregate.yaml', text, parts, environment);
}

describe('a configuration', () => {
  it('has every default when it says only where requests go', async () => {
    const { settings } = await load(smallest);
    deepEqual(settings.listen, [{ host: '0.0.0.0', port: 7999 }]);
    deepEqual(settings.control, {
      host: '127.0.0.1',
      port: 5561,
      auth: { bearer: [], jwt: [], basic: [] },
      policies: [],
    });
    deepEqual(settings.grip, { issuer: 'foregate' });
    equal(settings.limits.sessions, limits.sessions);
    equal(settings.drain, '10s');
    deepEqual(settings.log, { level: 'info', format: 'json' });
    ok(settings.stripHeaders.includes('X-Consumer-*'));
    const [route] = settings.routes;
    deepEqual(route?.match, { path: '/', transports: ['websocket', 'http'], byId: 'never' });
    equal(route?.limits.messageBytes, limits.messageBytes);
    equal(route?.onFault['too-large'], 'close');
    deepEqual(route?.targets, [
      {
        url: 'http://127.0.0.1:8080',
        dialect: 'websocket-over-http',
        oneEventPerRequest: false,
        publicOnly: false,
        channels: [],
        retry: 'once',
        timeout: '30s',
        idle: '4s',
        connections: limits.targetConnections,
      },
    ]);
  });

  it('may be JSON, indented with tabs', async () => {
    const text = JSON.stringify(
      { $schema: './foregate.schema.json', routes: [{ id: 'main', target: 'http://h' }] },
      undefined,
      '\t',
    );
    equal((await load(text)).settings.routes[0]?.targets[0]?.url, 'http://h');
  });

  it('takes the dialect from the url of a target, unless it says one', async () => {
    const { settings } = await load(`routes:
      - { id: a, targets: ["http://h", "wss://h:444/", { url: "https://h:443", dialect: relay }] }`);
    deepEqual(
      settings.routes[0]?.targets.map(({ url, dialect }) => [url, dialect]),
      [
        ['http://h', 'websocket-over-http'],
        ['wss://h:444', 'relay'],
        ['https://h', 'relay'],
      ],
    );
  });

  it('puts `defaults` under each route: mappings key by key, lists and scalars as a whole', async () => {
    const { settings, routes } = await load(`
defaults:
  idle: 5m
  limits: { messageBytes: 5, queueBytes: 6 }
  headers: { X-A: a, X-B: b }
  policies: [{ use: origin, allow: [x.example] }]
routes:
  - { id: a, target: "http://h" }
  - { id: b, target: "http://h", idle: 1s, limits: { queueBytes: 7 }, headers: { X-B: c }, policies: [] }`);
    const [a, b] = settings.routes;
    deepEqual([a?.idle, a?.limits.messageBytes, a?.limits.queueBytes, a?.headers], ['5m', 5, 6, { 'X-A': 'a', 'X-B': 'b' }]);
    deepEqual([b?.idle, b?.limits.messageBytes, b?.limits.queueBytes, b?.headers], ['1s', 5, 7, { 'X-A': 'a', 'X-B': 'c' }]);
    equal(b?.limits.subscriptions, limits.subscriptions);
    deepEqual(
      routes.map(({ policies }) => policies.map(({ use }) => use)),
      [['origin'], []],
    );
    deepEqual(a?.policies, [{ use: 'origin', allow: ['x.example'], required: false }]);
  });

  it('gives each policy its definition and its options with their defaults', async () => {
    const { routes, controlPolicies } = await load(
      `
control: { policies: [{ use: rate-limit, connections: 3 }] }
routes:
  - { id: a, target: "http://h", adapter: generic, policies: [{ use: jwt, secret: "\${KEY}" }] }`,
      { KEY: '12345' },
    );
    const policy = routes[0]?.policies[0];
    equal(policy?.definition.name, 'jwt');
    equal(policy?.options['secret'], '12345');
    equal(policy?.options['required'], true);
    equal(policy?.place.path, 'routes[0].policies[0]');
    deepEqual([policy?.place.line, policy?.place.column], [4, 63]);
    equal(controlPolicies[0]?.options['window'], '1s');
    equal(routes[0]?.adapter.name, 'generic');
  });

  it('cannot be changed once it is read', async () => {
    const { settings, routes } = await load(`routes: [{ id: a, target: "http://h", policies: [{ use: origin, allow: [a] }] }]`);
    throws(() => Object.assign(settings.routes[0]?.limits ?? {}, { messageBytes: 1 }), TypeError);
    throws(() => Object.assign(routes[0]?.policies[0]?.options['allow'] ?? {}, { 0: 'b' }), TypeError);
  });

  it('puts variables into texts, and into numbers and switches where one is wanted', async () => {
    const { settings } = await load(
      `listen: [{ host: "127.0.0.\${LAST:-1}", port: "\${PORT}" }]
grip: { issuer: "$\${PORT}-\${EMPTY}\${EMPTY:-x}", key: "\${PORT}" }
routes: [{ id: "\${ID}", target: "http://\${HOST}:\${PORT}", debug: "\${DEBUG}" }]`,
      { PORT: '81', EMPTY: '', ID: 'main', HOST: 'h', DEBUG: 'true' },
    );
    deepEqual(settings.listen[0], { host: '127.0.0.1', port: 81 });
    deepEqual(settings.grip, { issuer: '${PORT}-x', key: '81' });
    deepEqual(
      [settings.routes[0]?.id, settings.routes[0]?.targets[0]?.url, settings.routes[0]?.debug],
      ['main', 'http://h:81', true],
    );
  });

  it('in the documentation is right', async () => {
    const { routes } = await load(exampleConfiguration, { GRIP_KEY: 'a', GATEWAY_KEY: 'b', JWT_SECRET: 'c' });
    deepEqual(
      routes.map(({ settings, policies }) => [settings.id, policies.length]),
      [
        ['chat', 3],
        ['everything-else', 0],
      ],
    );
  });

  it('is refused with a ConfigError and nothing else, whatever it holds', async () => {
    const word = fc.constantFrom(
      'routes',
      'defaults',
      'control',
      'listen',
      'target',
      'targets',
      'url',
      'policies',
      'use',
      'jwt',
      'tls',
      'headers',
      'id',
      'auth',
      '__proto__',
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        fc.string(),
        word,
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(word, tie('tree'), { maxKeys: 4 }),
      ),
    }));
    await fc.assert(
      fc.asyncProperty(fc.dictionary(word, tree, { maxKeys: 5 }), async (file) => {
        await load(JSON.stringify(file)).catch((error: unknown) => ok(error instanceof ConfigError, String(error)));
      }),
      { numRuns: 60 },
    );
  });
});

describe('a configuration in a folder', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'foregate-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function loadFile(text: string): Promise<LoadedConfig> {
    const file = join(folder, 'foregate.yaml');
    await writeFile(file, text);
    return loadConfig(file, parts, {});
  }

  it('reads secrets and certificates from files beside it', async () => {
    await writeFile(join(folder, 'secret.txt'), 's3cret\n');
    await writeFile(join(folder, 'ca.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    const { settings, directory } = await loadFile(`
grip: { key: "file:secret.txt" }
routes: [{ id: a, target: { url: "https://h", tls: { ca: ca.pem } }, headers: { X-Key: "file:./secret.txt" } }]`);
    equal(directory, folder);
    equal(settings.grip.key, 's3cret');
    match(settings.routes[0]?.targets[0]?.tls?.ca ?? '', /^-----BEGIN CERTIFICATE-----\nAAAA\n/);
    equal(settings.routes[0]?.targets[0]?.tls?.verify, true);
    equal(settings.routes[0]?.headers['X-Key'], 's3cret');
  });

  it('loads policies of its own, again when their file has changed', async () => {
    const policy = join(folder, 'mine.mjs');
    const source = (name: string): string =>
      `export default { name: '${name}', summary: '', options: { type: 'object', properties: { max: { type: 'integer', default: 4 } } }, create: () => ({}) };`;
    const text = 'routes: [{ id: a, target: "http://h", policies: [{ use: ./mine.mjs }] }]';
    await writeFile(policy, source('first'));
    const first = (await loadFile(text)).routes[0]?.policies[0];
    deepEqual([first?.use, first?.definition.name, first?.options], ['./mine.mjs', 'first', { max: 4 }]);
    await writeFile(policy, source('second'));
    await utimes(policy, new Date(), new Date(Date.now() + 5000));
    equal((await loadFile(text)).routes[0]?.policies[0]?.definition.name, 'second');
  });

  it('loads policies from installed packages', async () => {
    const { mkdir } = await import('node:fs/promises');
    const home = join(folder, 'node_modules', 'a-policy');
    await mkdir(home, { recursive: true });
    await writeFile(join(home, 'package.json'), JSON.stringify({ name: 'a-policy', type: 'module', exports: './index.js' }));
    await writeFile(
      join(home, 'index.js'),
      `export default { name: 'p', summary: '', options: { type: 'object' }, create: () => ({}) };`,
    );
    const { routes } = await loadFile('routes: [{ id: a, target: "http://h", policies: [{ use: a-policy }] }]');
    equal(routes[0]?.policies[0]?.definition.name, 'p');
  });

  it('is told how to begin when it does not exist', async () => {
    await rejects(loadConfig(join(folder, 'nowhere.yaml'), parts), (error: unknown) => {
      ok(error instanceof ConfigError);
      match(error.message, /nowhere\.yaml +was not found\./);
      match(error.message, /routes:\n  - id: main\n    target: http:/);
      return true;
    });
  });

  it('is refused when it is a folder, no UTF-8, or nested without end', async () => {
    await rejects(loadConfig(folder, parts), /is not a file/);
    await writeFile(join(folder, 'latin.yaml'), Buffer.from([0x61, 0x3a, 0x20, 0xe9]));
    await rejects(loadConfig(join(folder, 'latin.yaml'), parts), /is not valid UTF-8/);
    await rejects(loadFile('['.repeat(100_000)), ConfigError);
    await rejects(loadFile(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`), ConfigError);
  });
});

describe('the effective settings', () => {
  const text = `
control: { auth: { bearer: [hunter2], jwt: [{ issuer: app, key: hunter2 }], basic: [{ user: ann, password: hunter2 }] } }
grip: { key: hunter2 }
defaults: { headers: { Authorization: hunter2 } }
routes:
  - { id: a, target: "http://h", policies: [{ use: jwt, secret: hunter2 }, { use: api-key, keys: [{ key: hunter2, name: ann }] }] }`;

  it('hide every secret and show all else', async () => {
    const shown = effectiveSettings(await load(text));
    ok(!shown.includes('hunter2'), shown);
    const settings = parse(shown) as LoadedConfig['settings'];
    deepEqual(settings.control.auth, {
      bearer: ['***'],
      jwt: [{ issuer: 'app', key: '***' }],
      basic: [{ user: 'ann', password: '***' }],
    });
    deepEqual(settings.routes[0]?.headers, { Authorization: '***' });
    deepEqual(settings.routes[0]?.policies[1], { ...settings.routes[0]?.policies[1], keys: [{ key: '***', name: 'ann' }] });
    notEqual(settings.routes[0]?.limits, undefined);
  });

  it('are a right configuration themselves', async () => {
    const once = effectiveSettings(await load(text));
    equal(effectiveSettings(await load(once)), once);
  });
});
