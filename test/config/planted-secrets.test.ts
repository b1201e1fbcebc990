/**
 * A secret in every place of a configuration that may hold one, as the schemas say, and then a look at all that comes out of the
 * program: none of them may be in it. Neither may what clients and publishers present.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request, type RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import jsonwebtoken from 'jsonwebtoken';
import { createLog } from '../../bin/log.ts';
import type { JsonSchema } from '../../gateway/config/json-schema.ts';
import { plain } from '../../gateway/config/schema.ts';
import { walk } from '../../gateway/config/walk.ts';
import { isSecretSchema } from '../../gateway/core/secret.ts';
import { SettingsSchema } from '../../gateway/core/settings.ts';
import { createForegate, loadText, type Foregate } from '../../gateway/index.ts';
import { policies } from '../../policies/index.ts';
import { foregate as command } from '../bin/command.ts';
import { policyCases } from '../contracts/policy-cases.ts';
import { clientCertificate, clientKey, serverCertificate, serverKey } from '../downstream/certificates.ts';
import { startBackend, type Backend } from '../support/backend.ts';
import { openClient, refusedClient } from '../support/client.ts';

/** What must not be seen anywhere. */
const needles = new Set<string>();

/** A text that stands nowhere else, long enough for any algorithm. */
function plant(): string {
  return remembered(`planted-${(needles.size + 1_000_000).toString(36)}-${'0123456789abcdef'.repeat(4)}`);
}

function remembered(secret: string): string {
  const pieces = secret.includes('-----BEGIN') ? secret.split('\n').filter((line) => /^[\w+/=]{20,}$/.test(line)) : [secret];
  for (const piece of pieces) {
    needles.add(piece);
    needles.add(Buffer.from(piece).toString('base64').replace(/=+$/, ''));
  }
  return secret;
}

const keys = { bearer: plant(), jwt: plant(), password: plant(), upstream: plant() };
const serverTls = { cert: serverCertificate, key: remembered(serverKey) };
const clientTls = { cert: clientCertificate, key: remembered(clientKey) };

/** For each policy, the options of its cases that hold a secret, with another in its place. */
const planted = policies.flatMap(({ name, options }) =>
  (policyCases[name]?.good ?? []).flatMap((sample) => {
    const found = secretsIn(sample, plain(options));
    if (found.length === 0) return [];
    const changed = walk(sample, plain(options), [], (value, schema) =>
      isSecretSchema(schema) && typeof value === 'string' && !value.includes('-----BEGIN') ? plant() : value,
    );
    return [{ name, options: changed as Record<string, unknown>, places: found.map(({ place }) => `${name}: ${place}`) }];
  }),
);

function settings(backend: string) {
  const route = (id: string, more: object) => ({ id, match: { path: `/${id}` }, target: backend, debug: true, ...more });
  return {
    log: { level: 'debug' },
    drain: '200ms',
    listen: [
      { host: '127.0.0.1', port: 0 },
      { host: '127.0.0.1', port: 0, tls: serverTls },
    ],
    control: {
      host: '127.0.0.1',
      port: 0,
      tls: clientTls,
      auth: {
        bearer: [keys.bearer],
        jwt: [{ issuer: 'press', key: keys.jwt }],
        basic: [{ user: 'ann', password: keys.password }],
      },
    },
    grip: { key: plant(), upstreamKey: keys.upstream },
    // Nobody is there: what is said of that is looked at, too.
    store: { use: 'redis', url: `redis://ann:${plant()}@127.0.0.1:1/0` },
    bus: { use: 'redis', url: `redis://ann:${plant()}@127.0.0.1:1/0` },
    routes: [
      route('replaced', { adapter: { use: 'kong', credentials: 'replace', secret: plant() } }),
      route('gateway', {
        adapter: { use: 'kong', gateway: { backend: 'http://127.0.0.1:1', callers: [{ name: 'ann', key: plant() }] } },
      }),
      route('plain', { headers: { 'X-Backend-Key': plant() }, signature: { key: plant() } }),
      {
        id: 'down',
        match: { path: '/down' },
        targets: [{ url: 'https://127.0.0.1:1', tls: serverTls, timeout: '1s' }],
        debug: true,
      },
      ...planted.map(({ name, options }, index) => route(`planted-${index}`, { policies: [{ use: name, ...options }] })),
    ],
  };
}

interface Secret {
  /** With `[]` for any index and `*` for any name. */
  readonly place: string;
  readonly value: unknown;
}

/** The secrets of a value, as its schema marks them. */
function secretsIn(value: unknown, schema: JsonSchema): Secret[] {
  const places = new Set(secretPlaces(schema));
  const found: Secret[] = [];
  walk(value, schema, [], (part, marks, path) => {
    if (!isSecretSchema(marks)) return part;
    const own = path.reduce<string>((place, key) => nextPlace(places, place, key), '');
    found.push({ place: own, value: part });
    return part;
  });
  return found;
}

function nextPlace(places: ReadonlySet<string>, place: string, key: string | number): string {
  if (typeof key === 'number') return `${place}[]`;
  const named = `${place}.${key}`;
  return [...places].some((known) => known === named || known.startsWith(`${named}.`) || known.startsWith(`${named}[`))
    ? named
    : `${place}.*`;
}

/** Every place where a schema has a secret. */
function secretPlaces(schema: JsonSchema | undefined, place = ''): string[] {
  if (schema === undefined) return [];
  const below = (schemas: JsonSchema['properties'], name?: string): string[] =>
    Object.entries(schemas ?? {}).flatMap(([key, one]) => secretPlaces(one, `${place}.${name ?? key}`));
  const { additionalProperties: others } = schema;
  return [
    ...(isSecretSchema(schema) ? [place] : []),
    ...below(schema.properties),
    ...below(schema.patternProperties, '*'),
    ...(typeof others === 'object' ? secretPlaces(others, `${place}.*`) : []),
    ...secretPlaces(schema.items, `${place}[]`),
    ...(schema.anyOf ?? []).flatMap((branch) => secretPlaces(branch, place)),
  ];
}

function assertClean(output: string, what: string): void {
  assert.ok(output.length > 0, `${what} is empty`);
  for (const needle of needles) assert.ok(!output.includes(needle), `${needle} is in ${what}:\n${output.slice(0, 2000)}`);
}

describe('a secret of the configuration', () => {
  it('is planted in every place that the schemas know', async () => {
    const { settings: loaded } = await loadText(JSON.stringify(settings('http://127.0.0.1:1')));
    const done = new Set([
      ...secretsIn(loaded, plain(SettingsSchema)).map(({ place }) => place),
      ...planted.flatMap(({ places }) => places),
    ]);
    const wanted = [
      ...secretPlaces(plain(SettingsSchema)),
      ...policies.flatMap(({ name, options }) => secretPlaces(plain(options)).map((place) => `${name}: ${place}`)),
    ];
    const missing = [...new Set(wanted)].filter((place) => !done.has(place));
    assert.deepEqual(
      missing,
      [],
      'Give these a secret: settings in this file, options of a policy in "good" of its cases (test/contracts/policy-cases.ts).',
    );
    for (const { value } of secretsIn(loaded, plain(SettingsSchema)))
      assert.ok(
        [...needles].some((needle) => String(value).includes(needle)),
        'a secret that nobody would look for',
      );
  });

  describe('in a program that runs', () => {
    const log: string[] = [];
    let backend: Backend;
    let foregate: Foregate;
    before(async () => {
      backend = await startBackend();
      const loaded = await loadText(JSON.stringify(settings(backend.origin)));
      const write = (line: string): void => void log.push(line);
      foregate = await createForegate(loaded, { log: createLog({ ...loaded.settings.log, level: 'debug' }, { write }) });
      await foregate.start();
    });
    after(async () => {
      await foregate.stop();
      await backend.stop();
    });

    const basic = (password: string): string => `Basic ${Buffer.from(`ann:${password}`).toString('base64')}`;
    const admitting = (): readonly string[] => [
      `Bearer ${keys.bearer}`,
      `Bearer ${remembered(jsonwebtoken.sign({ iss: 'press' }, keys.jwt, { expiresIn: '1h' }))}`,
      basic(keys.password),
    ];

    it('is not in what the control API tells', async () => {
      const client = await openClient(`${foregate.addresses.clients[0]?.replace('http', 'ws')}/plain`);
      for (const authorization of admitting()) {
        for (const path of [
          '/connections',
          '/channels',
          '/stats',
          '/metrics',
          '/openapi.json',
          '/health/ready',
          '/',
          '/nowhere',
        ]) {
          const { status, output } = await ask(`${foregate.addresses.control}${path}`, { headers: { authorization } });
          assert.equal(status, path === '/nowhere' ? 404 : 200, path);
          assertClean(output, path);
        }
      }
      await client.close();
    });

    it('is not in an answer to a publisher who is refused, or whose item is wrong', async () => {
      const url = `${foregate.addresses.control}/publish/`;
      const wrong = [`Bearer ${plant()}`, basic(plant()), `Bearer ${keys.bearer.slice(0, -1)}`, `Digest ${plant()}`];
      for (const authorization of wrong) {
        const { status, output } = await ask(url, { method: 'POST', headers: { authorization } }, '{}');
        assert.equal(status, 401);
        assertClean(output, 'a 401');
      }
      for (const authorization of admitting()) {
        const { status, output } = await ask(url, { method: 'POST', headers: { authorization } }, '{"items":[{}]}');
        assert.equal(status, 400);
        assertClean(output, 'a 400');
      }
    });

    it('is not in an answer to a client', async () => {
      const url = foregate.addresses.clients[0] ?? '';
      const signature = jsonwebtoken.sign({ iss: 'x' }, keys.upstream, { expiresIn: '1h' });
      const presented: Record<string, string>[] = [
        {},
        { Authorization: `Bearer ${plant()}` },
        { 'X-API-Key': plant() },
        { 'Grip-Sig': remembered(signature) },
        { Cookie: `session=${plant()}` },
      ];
      for (const headers of presented) {
        for (const path of ['/down', '/nowhere', ...planted.map((_, index) => `/planted-${index}`)]) {
          const response = await fetch(`${url}${path}`, { headers });
          assertClean(`${JSON.stringify([...response.headers])} ${await response.text()}`, path);
          if (response.ok) continue;
          const refusal = await refusedClient(`${url.replace('http', 'ws')}${path}`, { headers });
          assertClean(`${JSON.stringify(refusal.headers)} ${refusal.body}`, path);
        }
      }
    });

    it('lets in who presents it, and is not in the log at its most talkative', async () => {
      const url = foregate.addresses.clients[0]?.replace('http', 'ws') ?? '';
      for (const [index, { name, options }] of planted.entries()) {
        const headers = credentialFor(name, options);
        if (headers === undefined) continue;
        const client = await openClient(`${url}/planted-${index}`, { headers });
        client.send('hello');
        assert.equal(await client.nextText(), 'hello');
        await client.close();
      }
      await foregate.reload(await loadText(JSON.stringify(settings(backend.origin))));
      assert.ok(log.some((line) => line.includes('"level":"debug"')) && log.some((line) => line.includes('policy.denied')));
      assertClean(log.join(''), 'the log');
    });
  });

  it('is not in the output of "foregate check", be the file right or wrong', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'foregate-planted-'));
    try {
      const right = settings('http://127.0.0.1:1');
      const files = [
        right,
        { ...right, routez: [] },
        { ...right, grip: { key: [plant()], upstreamKey: { key: plant() } } },
        { ...right, control: { ...right.control, auth: { bearer: plant(), basic: [{ name: 'ann', password: plant() }] } } },
      ];
      for (const [index, file] of files.entries()) {
        await writeFile(join(folder, 'foregate.yaml'), JSON.stringify(file, undefined, 2));
        const { code, stdout, stderr } = await command(['check'], { cwd: folder });
        assert.equal(code, index === 0 ? 0 : 2, stderr);
        assertClean(stdout + stderr, 'the output');
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  }).timeout(40_000);
});

/** A credential that such a policy lets in, for the kinds whose secret is enough to make one. */
function credentialFor(name: string, options: Readonly<Record<string, unknown>>): Record<string, string> | undefined {
  if (name === 'jwt' && typeof options['secret'] === 'string' && Object.keys(options).length === 1)
    return { Authorization: `Bearer ${remembered(jsonwebtoken.sign({ sub: 'ann' }, options['secret'], { expiresIn: '1h' }))}` };
  const [first] = name === 'api-key' && options['from'] === undefined ? (options['keys'] as { readonly key: string }[]) : [];
  return first && { 'X-API-Key': first.key };
}

/** Asks over TLS, whoever vouches for the server. */
function ask(url: string, options: RequestOptions, body = ''): Promise<{ readonly status: number; readonly output: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { ...options, rejectUnauthorized: false, agent: false }, (response) => {
      text(response).then(
        (answer) => resolve({ status: response.statusCode ?? 0, output: `${JSON.stringify(response.rawHeaders)} ${answer}` }),
        reject,
      );
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
