/** What `foregate export` writes for nginx, HAProxy and Caddy: accepted by the programs, and never more than was meant. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { exporters } from '../../../adapters/exporters.ts';
import type {
  Exporter,
  GatewayAuth,
  GatewayLimit,
  GatewayModel,
  GatewayRoute,
  Remark,
} from '../../../adapters/conversion/gateway-route.ts';
import { tokensOf } from '../../../adapters/nginx/conf-tokens.ts';
import { checkExported, type ProxyName } from '../../chain/exported.ts';

const names: readonly ProxyName[] = ['nginx', 'haproxy', 'caddy'];

function exporterOf(name: string): Exporter {
  return exporters.find((exporter) => exporter.name === name) ?? assert.fail(`There is no exporter ${name}.`);
}

const plain: GatewayRoute = {
  id: 'chat',
  gateway: new URL('http://127.0.0.1:8080'),
  hosts: [],
  path: '/chat',
  eventsOnly: true,
  backend: new URL('http://127.0.0.1:9000'),
  stripPath: false,
  auth: { kind: 'key', place: { in: 'header', name: 'apikey' }, hidden: true },
  limits: [],
  bodyBytes: 65_536,
  connectMs: 2000,
  readMs: 29_000,
};

function modelOf(route: Partial<GatewayRoute>, model: Partial<GatewayModel> = {}): GatewayModel {
  return { routes: [{ ...plain, ...route }], callers: [], trusted: ['127.0.0.1', '::1'], ...model };
}

function refusals(remarks: readonly Remark[]): readonly Remark[] {
  return remarks.filter(({ verdict }) => verdict === 'refused');
}

function textOf(name: string, model: GatewayModel): string {
  const { files, remarks } = exporterOf(name).write(model);
  assert.deepEqual(refusals(remarks), []);
  return files.map((file) => `==> ${file.name}\n${String(file.content)}`).join('');
}

async function accepted(name: ProxyName, model: GatewayModel): Promise<void> {
  const { files } = exporterOf(name).write(model);
  const folder = await mkdtemp(join(tmpdir(), 'foregate-exports-'));
  try {
    for (const file of files) await writeFile(join(folder, file.name), file.content);
    await checkExported(name, folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Everything that YAML can bring into a string. */
const hostile = fc.oneof(
  fc.string(),
  fc.constantFrom(
    '"; return 200 "x',
    "'\n  http-request allow",
    '}\n:80 {\n respond 200\n}',
    '$http_host',
    '{$HOME}',
    '{env.HOME}',
    '{http.request.uri}',
    '%[src]',
    '\\',
    '\\"',
    "\\'",
    '`',
    '# x',
    'a b',
    '\r\n',
    '\0',
    '..',
    '%2e',
    '*',
    '~',
    '"',
    "'",
    ';',
    '${HOME}',
    '[',
    '(',
  ),
);

const pathCharacters = `ab/.-_~!$&'()*+,;=:@"<>[]^|\\\`{}`.split('');
/** Caddy refuses some. */
function pathsFor(name: ProxyName): fc.Arbitrary<string> {
  const characters = pathCharacters.filter((character) => name !== 'caddy' || !/["<>\\^`{|}]/.test(character));
  const plainPaths = fc.array(fc.constantFrom(...characters), { maxLength: 12 }).map((all) => `/${all.join('')}`);
  return fc.oneof({ weight: 20, arbitrary: plainPaths }, { weight: 1, arbitrary: hostile.map((text) => `/${text}`) });
}

const places = fc.record({
  in: fc.constantFrom('header' as const, 'query' as const),
  name: fc.oneof(
    { weight: 20, arbitrary: fc.constantFrom('apikey', 'X-API-Key', 'key_1', 'k-1') },
    { weight: 1, arbitrary: hostile },
  ),
});
const auths: fc.Arbitrary<GatewayAuth> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('key' as const), place: places, hidden: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'none' as const }) },
);
const limits: fc.Arbitrary<GatewayLimit[]> = fc.array(
  fc.record({
    count: fc.integer({ min: 1, max: 100_000 }),
    windowSeconds: fc.integer({ min: 1, max: 4000 }),
    by: fc.constantFrom('caller' as const, 'address' as const, 'route' as const),
  }),
  { maxLength: 3 },
);
const hosts = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom([], ['a.example'], ['*.example.com'], ['A.b.Example.com', 'c.example']) },
  { weight: 1, arbitrary: hostile.map((host) => [host]) },
);

function routes(name: ProxyName): fc.Arbitrary<GatewayRoute> {
  const paths = pathsFor(name);
  return fc.record({
    id: fc.oneof(
      { weight: 20, arbitrary: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,8}$/) },
      { weight: 1, arbitrary: hostile },
    ),
    gateway: fc.constantFrom(new URL('http://127.0.0.1:8080'), new URL('http://127.0.0.1:8081'), new URL('http://127.0.0.1')),
    hosts,
    path: paths,
    eventsOnly: fc.boolean(),
    backend: fc
      .tuple(fc.constantFrom('http://127.0.0.1:9000', 'https://127.0.0.1', 'http://[::1]:9000'), fc.oneof(fc.constant(''), paths))
      .map(([origin, path]) => new URL(`${origin}${path.replace(/[?#].*$/s, '')}`)),
    stripPath: fc.boolean(),
    auth: auths,
    limits: name === 'caddy' ? fc.constant([]) : limits,
    bodyBytes: fc.integer({ min: 1024, max: 10_000_000 }),
    connectMs: fc.integer({ min: 1, max: 100_000 }),
    readMs: fc.integer({ min: 1, max: 100_000 }),
  });
}

/** With ends that make no difference to the structure. */
function oddPathsFor(name: ProxyName): fc.Arbitrary<string> {
  return pathsFor(name).map((path) => `/a${path.slice(1)}z`);
}
const oddKeys = fc.stringMatching(/^[\x21-\x7e]{1,30}$/);

const callers = fc.uniqueArray(
  fc.record({
    name: fc.stringMatching(/^[A-Za-z0-9._-]{1,10}$/),
    key: fc.option(
      fc.oneof({ weight: 10, arbitrary: fc.stringMatching(/^[\x21-\x7e]{1,20}$/) }, { weight: 1, arbitrary: hostile }),
      {
        nil: undefined,
      },
    ),
  }),
  { maxLength: 3, selector: ({ name }) => name },
);

function models(name: ProxyName): fc.Arbitrary<GatewayModel> {
  return fc.record({
    routes: fc.uniqueArray(routes(name), { minLength: 1, maxLength: 4, selector: ({ id }) => id }),
    callers,
    trusted: fc.constantFrom(['127.0.0.1', '::1'], ['10.0.0.0/8'], ['fd00::/8', '127.0.0.1']),
  });
}

for (const name of names) {
  describe(`the export for ${name}`, () => {
    it('is accepted by the program, whatever the settings say, or refused with a reason', async function () {
      this.timeout(120_000);
      let written = 0;
      await fc.assert(
        fc.asyncProperty(models(name), async (model) => {
          const { files, remarks } = exporterOf(name).write(model);
          assert.equal(files.length === 0, refusals(remarks).length > 0);
          if (files.length === 0) return;
          written += 1;
          await accepted(name, model);
        }),
        { numRuns: 300, seed: 7 },
      );
      assert.ok(written >= 30, `only ${written} were written`);
    });

    it('has the same lines and words whatever the values are, so that none of them becomes configuration', () => {
      const tame = shapeOf(name, oddModel('/abc', 'key1', '/base'));
      fc.assert(
        fc.property(oddPathsFor(name), oddKeys, oddPathsFor(name), (path, key, base) => {
          const model = oddModel(path, key, base);
          const { remarks } = exporterOf(name).write(model);
          fc.pre(refusals(remarks).length === 0);
          assert.deepEqual(shapeOf(name, model), tame);
        }),
        { numRuns: 300 },
      );
    });

    it('has the same text for the same model, sorted by name, with a word about its origin', () => {
      const model = modelOf({}, { callers: [{ name: 'alice', key: 'k1' }] });
      assert.equal(textOf(name, model), textOf(name, structured(model)));
      const { files } = exporterOf(name).write(model);
      const sorted = files.map((file) => file.name).toSorted((a, b) => (a < b ? -1 : 1));
      assert.deepEqual(
        files.map((file) => file.name),
        sorted,
      );
      assert.match(textOf(name, model), new RegExp(`^# Written by "foregate export ${name}"`, 'm'));
    });

    it('keeps keys in a file of their own that is never overwritten, and without them denies all', async () => {
      const model = modelOf({}, { callers: [{ name: 'alice', key: undefined }] });
      const keys = exporterOf(name)
        .write(model)
        .files.find((file) => file.name.startsWith('keys.'));
      assert.equal(keys?.once, true);
      const lines = String(keys?.content).trim().split('\n');
      assert.ok(lines.every((line) => line.startsWith('#')));
      assert.ok(lines.some((line) => /\balice\b/.test(line)));
      await accepted(name, model);
    });

    it('refuses what it cannot say, with the name of the route', () => {
      const cases: readonly (readonly [Partial<GatewayRoute>, RegExp])[] = [
        [{ auth: { kind: 'jwt', hidden: true, issuer: undefined, audience: undefined, jwks: undefined } }, /JWT/],
        [{ gateway: new URL('https://127.0.0.1:8443') }, /certificate/],
        [{ auth: { kind: 'none' }, limits: [{ count: 1, windowSeconds: 1, by: 'caller' }] }, /none is known/],
        [{ path: '/a/../b' }, /matched safely/],
        [{ path: '/caf%C3%A9' }, /matched safely/],
      ];
      for (const [route, text] of cases) {
        const { files, remarks } = exporterOf(name).write(modelOf(route));
        assert.deepEqual(files, []);
        const [first] = refusals(remarks);
        assert.equal(first?.about, 'chat');
        assert.match(first.text, text);
      }
    });

    it('refuses two names of one port, keys that two have, and addresses that are none; says no key', () => {
      const other = { ...plain, id: 'other', gateway: new URL('http://localhost:8080') };
      const wrong: readonly GatewayModel[] = [
        { ...modelOf({}), routes: [plain, other] },
        modelOf({}, { callers: ['a', 'b'].map((caller) => ({ name: caller, key: 'secret-of-two' })) }),
        modelOf({}, { callers: [{ name: 'a', key: 'secret with spaces' }] }),
        modelOf({}, { trusted: ['10.0.0.0/33'] }),
        modelOf({}, { trusted: ['127.0.0.1; x'] }),
      ];
      for (const model of wrong) {
        const { files, remarks } = exporterOf(name).write(model);
        assert.equal(files.length, 0);
        assert.ok(refusals(remarks).length > 0);
        assert.ok(!JSON.stringify(remarks).includes('secret'));
      }
    });
  });
}

describe('limits of exports', () => {
  function remarksOf(name: string, limit: Partial<GatewayLimit>): readonly Remark[] {
    return exporterOf(name).write(modelOf({ limits: [{ count: 1, windowSeconds: 1, by: 'caller', ...limit }] })).remarks;
  }

  it('are whole rates a second or a minute at nginx, rounded down and told, and refused below one a minute', () => {
    assert.deepEqual(
      [{ count: 20 }, { count: 5, windowSeconds: 60 }, { count: 100, windowSeconds: 7 }, { count: 10, windowSeconds: 3600 }].map(
        (limit) => remarksOf('nginx', limit).map(({ verdict, text }) => [verdict, /\d+r\/[sm]/.exec(text)?.[0]]),
      ),
      [[['told', '20r/s']], [['told', '5r/m']], [['tightened', '857r/m']], [['refused', undefined]]],
    );
  });

  it('are windows of any length at HAProxy, and refused for Caddy', () => {
    assert.deepEqual(refusals(remarksOf('haproxy', { count: 10, windowSeconds: 3600 })), []);
    assert.equal(refusals(remarksOf('haproxy', { windowSeconds: 3_000_000 })).length, 1);
    assert.match(refusals(remarksOf('caddy', {}))[0]?.text ?? '', /plugin/);
  });
});

function oddModel(path: string, key: string, base: string): GatewayModel {
  return modelOf({ path, backend: new URL(`http://127.0.0.1:9000${base}`) }, { callers: [{ name: 'alice', key }] });
}

/** What each line begins with; for nginx, whose lines mean nothing, each mark and how many words stand before it. */
function shapeOf(name: ProxyName, model: GatewayModel): readonly string[] {
  const { files } = exporterOf(name).write(model);
  const all = files.map(({ content }) => String(content));
  // A key is the first word of its line.
  const firstWord = (line: string): string =>
    line.endsWith(' alice') ? line.split(' ').length.toString() : (/^\s*\S*/.exec(line)?.[0] ?? '');
  if (name !== 'nginx') return all.flatMap((text) => text.split('\n').map(firstWord));
  return all.flatMap((text) => tokensOf(text).tokens.map(({ kind }) => kind));
}

/** Another object with the same in it. */
function structured(model: GatewayModel): GatewayModel {
  return {
    ...model,
    routes: model.routes.map((route) => ({ ...route })),
    callers: model.callers.map((caller) => ({ ...caller })),
  };
}
