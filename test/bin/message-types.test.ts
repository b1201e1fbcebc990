/** `foregate types`: what it writes for which document, and what it says of one that is wrong. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { foregate } from './command.ts';

const example = join(import.meta.dirname, '../../examples/described-chat');

describe('foregate types', () => {
  let folder: string;
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'foregate-types-'))));
  afterEach(() => rm(folder, { recursive: true }));

  /** Runs it for a document; the file may name what it is made of. */
  async function typesFor(document: string, more: readonly string[] = []) {
    await writeFile(join(folder, 'api.yaml'), document);
    return foregate(['types', '--openapi', 'api.yaml', ...more], { cwd: folder });
  }

  it('writes the types that stand in the example', async () => {
    const { stdout, stderr, code } = await foregate(['types', '--openapi', 'chat.openapi.yaml'], { cwd: example });
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(stdout, await readFile(join(example, 'messages.ts'), 'utf8'));
  });

  it('makes kinds into unions that are told apart by them, of every WebSocket and event stream', async () => {
    const document = `
openapi: 3.0.3
x-foregate-messages: { client: { ping: { type: object } }, backend: { 7: { $ref: '#/components/schemas/Seven' }, '8': true } }
paths:
  /ws/{id}.json:
    parameters: [{ name: id, in: path, schema: { type: string } }, { name: q, in: query, schema: { type: string } }]
    post:
      parameters: [{ name: id, in: path, required: true, schema: { type: integer, nullable: true } }]
      requestBody: { content: { application/websocket-events: {} } }
  /stream:
    get:
      operationId: ticker
      responses: { '200': { content: { 'text/event-stream; charset=utf-8': {} } } }
      x-foregate-messages: { by: /a/b, client: { x: { type: object } } }
  /plain:
    get: { responses: { '200': { content: { text/plain: {} } } } }
  /own:
    get: { operationId: own, x-foregate-messages: { client: { oneOf: [{ $ref: '#/components/schemas/Tree' }] } } }
components:
  schemas:
    Seven: { title: Not A Name, type: object, properties: { type: { type: integer } }, additionalProperties: true }
    Tree:
      type: object
      required: [type]
      properties: { type: { enum: [tree, bush] }, parts: { type: array, items: { $ref: '#/components/schemas/Tree' } } }
`;
    const { stdout, stderr } = await typesFor(document, ['--output', 'types.ts']);
    assert.equal(stdout + stderr, '');
    const written = await readFile(join(folder, 'types.ts'), 'utf8');
    assert.match(
      written,
      /^\/\*\* Types of the messages in api\.yaml, written by "foregate types": changes here are lost\. \*\/\n/,
    );
    const compact = written.replaceAll(/\s+/g, ' ');
    const ping = "{ type: 'ping'; }";
    const sides = "backend: | (Seven & { type: '7' | 7; }) | { type: '8' | 8; };";
    for (const piece of [
      `'POST /ws/{id}.json': { client: {} & ${ping}; ${sides} path: { id: number | null; }; };`,
      'own: { client: Tree; backend: string | Uint8Array; };',
      "export interface Tree { type: 'tree' | 'bush'; parts?: Tree[]; }",
      'export interface Seven { type?: number; [k: string]: unknown; }',
    ])
      assert.ok(compact.includes(piece), `${piece}\nis not in\n${written}`);
    assert.doesNotMatch(written, /plain/);
  });

  it('makes the same of the channels of an AsyncAPI document', async () => {
    const document = `
asyncapi: 3.0.0
info: { title: Chat, version: 1.0.0 }
channels:
  room:
    address: /rooms/{id}
    description: A room.
    parameters: { id: {}, kind: { enum: [a, b] } }
    messages:
      say: { payload: { $ref: '#/components/schemas/Say' } }
      said: { payload: { type: object, properties: { event: { const: said } }, required: [event] } }
  silent: { address: /silent }
operations:
  hear: { action: receive, channel: { $ref: '#/channels/room' }, messages: [{ $ref: '#/channels/room/messages/say' }] }
  tell: { action: send, channel: { $ref: '#/channels/room' }, messages: [{ $ref: '#/channels/room/messages/said' }] }
components:
  schemas:
    Say: { type: object, properties: { type: { const: say }, text: { type: string } }, required: [type, text] }
`;
    await writeFile(join(folder, 'chat.yaml'), document);
    const { stdout, stderr } = await foregate(['types', '--asyncapi', 'chat.yaml'], { cwd: folder });
    assert.equal(stderr, '');
    const compact = stdout.replaceAll(/\s+/g, ' ');
    const room = "room: { client: Say; backend: { event: 'said'; }; path: { id: string; kind: 'a' | 'b'; }; };";
    assert.ok(compact.includes(`/** * A room. */ ${room}`), stdout);
    assert.doesNotMatch(stdout, /silent/);
  });

  it('wants to be told of one document', async () => {
    for (const args of [[], ['--openapi', 'a.yaml', '--asyncapi', 'b.yaml']]) {
      const { code, stderr } = await foregate(['types', ...args], { cwd: folder });
      assert.deepEqual([code, stderr], [1, 'Name one document, with --openapi or --asyncapi.\n']);
    }
  });

  it('is TypeScript and nothing but types, whatever names stand in the document', async () => {
    const evil = "*/ x'); process.exit(1); \\ `${1}` \u2028\n/*";
    const schema = { type: 'object', title: evil, description: evil, properties: { [evil]: { const: evil }, constructor: {} } };
    const ref = { $ref: `#/components/schemas/${encodeURIComponent(evil.replaceAll('~', '~0').replaceAll('/', '~1'))}` };
    const operation = {
      operationId: evil,
      summary: evil,
      parameters: [{ name: evil, in: 'path', schema: { enum: [evil] } }],
      'x-foregate-messages': {
        by: evil,
        client: { [evil]: ref, ['__proto__']: true },
        backend: { 'a-b': ref, 1: { patternProperties: { '^a': ref } } },
      },
    };
    const document = {
      openapi: '3.1.0',
      paths: { '/a': { get: operation } },
      components: { schemas: { [evil]: schema, class: schema } },
    };
    const { stderr } = await typesFor(JSON.stringify(document), ['-o', 'types.ts']);
    assert.equal(stderr, '');
    const tsc = join(import.meta.dirname, '../../node_modules/.bin/tsc');
    const compile = promisify(execFile);
    await compile(tsc, ['--strict', '--declaration', '--types', '', '--target', 'es2023', 'types.ts'], { cwd: folder });
    const script = await readFile(join(folder, 'types.js'), 'utf8');
    assert.equal(script.replaceAll(/\/\*.*?\*\//gs, '').trim(), 'export {};');
  });

  for (const [exit, what, document, told] of [
    [
      1,
      'describes no messages',
      'openapi: 3.1.0\npaths: {}\n',
      /^api\.yaml describes no messages, which "x-foregate-messages" does\.$/m,
    ],
    [
      2,
      'has an unknown member',
      'openapi: 3.1.0\npaths:\n  /a:\n    get:\n      x-foregate-messages:\n        clients: {}\n        client: { a: true }\n',
      /^api\.yaml:6:9 +\S+clients +is not known here; did you mean "client"\?$/m,
    ],
    [
      2,
      'has a keyword that is none',
      'openapi: 3.1.0\npaths:\n  /a:\n    get:\n      x-foregate-messages:\n        client: { a: { typ: object } }\n',
      /^api\.yaml:6:24 +\S+typ +is no keyword of JSON Schema/m,
    ],
    [
      2,
      'has one id twice',
      'openapi: 3.1.0\npaths:\n  /a:\n    x-foregate-messages: { client: { a: true } }\n    get: { operationId: a }\n    put: { operationId: a }\n',
      /^api\.yaml:6:25 +\S+ +is the id "a" of another operation, too/m,
    ],
  ] as const)
    it(`ends with ${exit} and says where a document ${what}`, async () => {
      const { code, stdout, stderr } = await typesFor(document);
      assert.deepEqual([code, stdout], [exit, '']);
      assert.match(stderr, told);
    });
});
