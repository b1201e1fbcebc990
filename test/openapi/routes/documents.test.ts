/** Documents in the shape of those that the OpenAPI initiative and API gateways publish: each loads, or is refused with its reason. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { parse } from 'yaml';
import { loadText } from '../../../gateway/config/load.ts';
import { ConfigError } from '../../../gateway/core/problem.ts';
import { createForegate } from '../../../gateway/foregate.ts';
import { parts } from '../../../gateway/parts.ts';

const folder = fileURLToPath(new URL('../../fixtures/openapi/documents/', import.meta.url));
const secret = 'x'.repeat(32);

/** Its routes as they come out, or the report. */
async function outcome(name: string, entry: object = {}): Promise<string[]> {
  try {
    const config = JSON.stringify({ openapi: [{ file: name, ...entry }] });
    const loaded = await loadText(join(folder, 'foregate.yaml'), config, parts, {});
    // Makes the policies as a start would.
    await (await createForegate(loaded)).stop();
    return loaded.routes.map(({ settings: { match, targets }, policies }) => {
      const method = match.methods?.join() ?? 'websocket';
      return [method, match.template, targets[0]?.url, ...policies.map(({ use }) => use)].join(' ');
    });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ line, column, path, message }) => `${line}:${column} ${path} ${message.split(':', 1)[0] ?? ''}`);
  }
}

/** What stands in the configuration beside a document, and what comes of it. */
const cases: readonly (readonly [name: string, entry: object, expected: readonly string[]])[] = [
  [
    'petstore-3.0.yaml',
    {},
    [
      'GET /v1/pets http://petstore.example parameters',
      'POST /v1/pets http://petstore.example',
      'GET /v1/pets/{petId} http://petstore.example parameters',
    ],
  ],
  [
    'petstore-expanded-3.0.yaml',
    { target: 'http://gateway:8000' },
    [
      'GET /v2/pets http://gateway:8000 parameters',
      'POST /v2/pets http://gateway:8000',
      'GET,DELETE /v2/pets/{id} http://gateway:8000 parameters',
    ],
  ],
  [
    'variables-3.0.yaml',
    {},
    [
      'GET /ds-api/ https://developer.example',
      'GET /ds-api/{dataset}/{version}/fields https://developer.example parameters',
      'POST /ds-api/{dataset}/{version}/records https://developer.example parameters',
    ],
  ],
  ['links-3.0.yaml', {}, ['1:1  has no "servers" that say where to go; write "target']],
  [
    'links-3.0.yaml',
    { target: 'http://gateway:8000' },
    [
      'GET /2.0/users/{username} http://gateway:8000 parameters',
      'GET /2.0/repositories/{username} http://gateway:8000 parameters',
    ],
  ],
  ['callbacks-3.0.yaml', {}, ['POST /streams http://streams.example parameters']],
  ['examples-3.0.yaml', {}, ['GET / http://openstack.example:8774', 'GET /v2 http://openstack.example:8774']],
  ['webhooks-3.1.yaml', {}, ['1:1  describes no operation that could be a route']],
  ['roles-3.1.yaml', {}, ['7:21 paths["/users"].get.security[0].bearerAuth is checked by nobody']],
  ['roles-3.1.yaml', { security: { bearerAuth: { secret } } }, ['GET /users https://users.example jwt']],
  [
    'tictactoe-3.1.yaml',
    {
      security: {
        defaultApiKey: { keys: [{ key: secret, name: 'a' }] },
        app2AppOauth: { secret },
        bearerHttpAuthentication: 'gateway',
        user2AppOauth: 'gateway',
      },
    },
    ['GET /board https://game.example any-of', 'GET,PUT /board/{row}/{column} https://game.example parameters'],
  ],
  ['kong-3.0.yaml', {}, ['9:15 security[0].key is checked by nobody']],
  ['kong-3.0.yaml', { security: { key: 'gateway' } }, ['GET /api/orders https://backend.example']],
  ['tyk-3.0.json', { security: { authToken: 'gateway' } }, ['GET /chat/rooms http://tyk:8080']],
  [
    'aws-3.0.yaml',
    { security: { api_key: 'gateway' } },
    ['websocket /prod/chat/{room} https://abc123.execute-api.eu-west-1.amazonaws.com'],
  ],
  [
    'google-2.0.yaml',
    {},
    ['1:10 swagger is Swagger 2.0; convert it first, for example with swagger2openapi or at editor.swagger.io'],
  ],
  ['circles-3.1.yaml', {}, ['websocket /tree/{id} http://h parameters message-schema']],
  ['parts-3.1.yaml', {}, ['GET /v1/rooms http://h', 'GET /v1/rooms/{room} http://h parameters']],
];

describe('a public document', () => {
  for (const [name, entry, expected] of cases) {
    it(`${name} with ${Object.keys(entry).join(' and ') || 'nothing'} beside it`, async () => {
      assert.deepEqual(await outcome(name, entry), expected);
    });
  }

  it('has a case here', async () => {
    const names = (await readdir(folder)).filter((name) => name.includes('.'));
    assert.deepEqual([...new Set(cases.map(([name]) => name))].toSorted(), names.toSorted());
  });
});

describe('a hostile document', () => {
  let here: string;

  before(async () => {
    here = await mkdtemp(join(tmpdir(), 'foregate-hostile-'));
  });

  after(async () => rm(here, { recursive: true }));

  /** Whether it could be loaded. @throws anything but a ConfigError */
  async function loads(text: string): Promise<boolean> {
    await writeFile(join(here, 'api.yaml'), text);
    const config = { defaults: { adapter: 'kong' }, openapi: [{ file: 'api.yaml', target: 'http://a' }] };
    try {
      await loadText(join(here, 'foregate.yaml'), JSON.stringify(config), parts, {});
      return true;
    } catch (error) {
      if (error instanceof ConfigError) return false;
      throw error;
    }
  }

  it('that has anything anywhere is refused by a ConfigError, or loads', async function () {
    this.timeout(20_000);
    const names = ['circles-3.1.yaml', 'kong-3.0.yaml', 'tictactoe-3.1.yaml', 'parts-3.1.yaml'];
    const documents = await Promise.all(names.map(async (name) => parse(await readFile(join(folder, name), 'utf8')) as unknown));
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom('#/paths', '#', '/a', '{', { $ref: '#' }, { $ref: '#/paths/~1a' }, { $ref: 1 }, { $ref: '%' }, [[]]),
      fc.constantFrom(
        { __proto__: null, constructor: 1 },
        { use: 'jwt' },
        { 'x-foregate': { target: 1, security: { key: {} } } },
      ),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...documents),
        fc.array(fc.tuple(fc.nat(), value), { maxLength: 3 }),
        async (document, changes) => {
          await loads(JSON.stringify(changes.reduce((changed, [at, put]) => replaced(changed, at, put), document)));
        },
      ),
      { numRuns: 150 },
    );
  });

  it('with levels that name the next one twice, or that are thousands deep, costs no time', async () => {
    const head =
      'openapi: 3.1.0\npaths: { /a: { get: { parameters: [{ name: a, in: query, schema: { $ref: "#/l/0" } }] } } }\nl:\n';
    const level = (index: number): string => {
      const next = `{ $ref: "#/l/${index + 1}" }`;
      return `  ${index}: { allOf: [${next}, ${next}] }\n`;
    };
    const laughs = head + Array.from({ length: 50 }, (_, index) => level(index)).join('') + '  50: {}\n';
    assert.equal(await loads(laughs), true);
    const chain = (index: number): string => `  ${index}: { not: { $ref: "#/l/${index + 1}" } }\n`;
    assert.equal(await loads(head + Array.from({ length: 5000 }, (_, index) => chain(index)).join('') + '  5000: {}\n'), false);
    assert.equal(await loads(`${head}  0: ${'['.repeat(20_000)}`), false);
  });
});

/** A copy with one of its parts, by number, replaced. */
function replaced(document: unknown, at: number, put: unknown): unknown {
  const copy: unknown = structuredClone(document);
  const slots: { readonly owner: Record<string, unknown>; readonly key: string }[] = [];
  const collect = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) return;
    for (const key of Object.keys(part)) {
      slots.push({ owner: part as Record<string, unknown>, key });
      collect((part as Record<string, unknown>)[key]);
    }
  };
  collect(copy);
  const slot = slots[at % Math.max(1, slots.length)];
  if (slot !== undefined) slot.owner[slot.key] = put;
  return copy;
}
