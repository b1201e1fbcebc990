/** API documents: `$ref`s are followed into parts and files, each part keeps its place, and what leads nowhere is told where it stands. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { limits } from '../../../gateway/core/limits.ts';
import { isMapping, type Mapping } from '../../../gateway/core/mapping.ts';
import { ConfigError } from '../../../gateway/core/problem.ts';
import { readApiDocument, type ApiDocument } from '../../../openapi/document/api-document.ts';

/** Texts by the last part of their URL. */
function documents(texts: Readonly<Record<string, string>>): Promise<ApiDocument> {
  const read = (url: URL): Promise<string> => {
    const text = texts[url.pathname.split('/').at(-1) ?? ''];
    if (text === undefined) throw new ConfigError([{ file: '', line: 0, column: 0, path: '', message: 'was not found' }]);
    return Promise.resolve(text);
  };
  return readApiDocument('api/main.yaml', { read });
}

async function problemsOf(texts: Readonly<Record<string, string>>): Promise<string[]> {
  const error: unknown = await documents(texts).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConfigError);
  return error.problems.map(({ file, line, column, path, message }) => `${file}:${line}:${column} ${path} ${message}`);
}

/** The part at the end of keys, which must be there. */
function at(part: unknown, ...keys: string[]): Mapping {
  const found = keys.reduce((value: unknown, key) => (isMapping(value) ? value[key] : undefined), part);
  assert.ok(isMapping(found), keys.join('.'));
  return found;
}

describe('an API document', () => {
  it('has in the place of a $ref what it leads to, by identity, with the place it was read from', async () => {
    const document = await documents({
      'main.yaml': 'a: { $ref: "#/c/d" }\nb: { $ref: "parts.json#/x~1y/0" }\nc:\n  d: { e: 1 }\n',
      'parts.json': '{"x/y": [\n  {"back": {"$ref": "main.yaml#/c"}}]}',
    });
    const { root } = document;
    assert.equal(at(root, 'a'), at(root, 'c', 'd'));
    assert.equal(at(root, 'b', 'back'), at(root, 'c'));
    assert.deepEqual(document.locate(at(root, 'a'), 'e'), { file: 'api/main.yaml', line: 4, column: 11, path: 'c.d.e' });
    assert.deepEqual(document.locate(at(root, 'b'), 'back', 'key'), {
      file: 'api/parts.json',
      line: 2,
      column: 4,
      path: '["x/y"][0].back',
    });
  });

  it('keeps a $ref that closes a circle, and says where it leads', async () => {
    const document = await documents({
      'main.yaml': 'a: { $ref: "#/tree" }\ntree:\n  kids: { $ref: "parts.yaml#/list" }\n',
      'parts.yaml': 'list:\n  of: { $ref: "main.yaml#/tree" }\n',
    });
    const tree = at(document.root, 'tree');
    const left = at(tree, 'kids', 'of');
    assert.equal(at(document.root, 'a'), tree);
    assert.deepEqual(left, { $ref: 'main.yaml#/tree' });
    assert.equal(document.target('main.yaml#/tree', left), tree);
    assert.equal(document.follow(left), tree);
  });

  it('keeps a $ref with more beside it than a description', async () => {
    const { root, follow } = await documents({
      'main.yaml': 'a: { $ref: "#/c", description: x }\nb: { $ref: "#/c", minLength: 1 }\nc: { type: string }\n',
    });
    assert.equal(at(root, 'a'), at(root, 'c'));
    assert.equal(at(root, 'b')['minLength'], 1);
    assert.equal(follow(at(root, 'b')), at(root, 'c'));
  });

  it('leaves data alone that looks like a $ref', async () => {
    const { root } = await documents({
      'main.yaml':
        'schema: { example: { $ref: nowhere.yaml }, default: { $ref: "#/none" } }\nresponses: { default: { $ref: "#/ok" } }\nok: { is: ok }\n',
    });
    assert.deepEqual(at(root, 'schema', 'example'), { $ref: 'nowhere.yaml' });
    assert.equal(at(root, 'responses', 'default'), at(root, 'ok'));
  });

  it('tells every $ref that leads nowhere or in a circle, and files that cannot be read, where they stand', async () => {
    assert.deepEqual(
      await problemsOf({
        'main.yaml': [
          'a: { $ref: "#/none" }',
          'b: { $ref: none.yaml }',
          'c: { $ref: "#/d" }',
          'd: { $ref: "#/c" }',
          'e: { $ref: broken.yaml }',
          'f: { $ref: "#anchor" }',
          'g: { $ref: "https://user:pass@h.example/x?key=1" }',
          'h: { $ref: "#/%zz" }',
        ].join('\n'),
        'broken.yaml': 'a: 1\na: 2\n',
      }),
      [
        'api/main.yaml:1:12 a.$ref leads nowhere: "#/none"',
        'api/main.yaml:2:12 b.$ref leads to "api/none.yaml", which was not found',
        'api/main.yaml:3:12 c.$ref leads in a circle: "#/d"',
        'api/main.yaml:4:12 d.$ref leads in a circle: "#/c"',
        'api/broken.yaml:2:1  this key stands here twice',
        'api/main.yaml:6:12 f.$ref leads nowhere: "#anchor"',
        'api/main.yaml:7:12 g.$ref leads to "https://h.example/x", which was not found',
        'api/main.yaml:8:12 h.$ref leads nowhere: "#/%zz"',
      ],
    );
  });

  it('stays small where each part names the next one twice', async () => {
    const levels = Array.from({ length: 40 }, (_, index) => {
      const next = `{ $ref: "#/level${index + 1}" }`;
      return `level${index}: { x: ${next}, y: ${next} }`;
    });
    const { root } = await documents({ 'main.yaml': [...levels, 'level40: { end: true }'].join('\n') });
    assert.equal(at(root, 'level0', 'x', 'y', 'x'), at(root, 'level3'));
  });

  it('keeps a $ref deep below others, and says where it leads', async () => {
    const schemas = Array.from({ length: 1000 }, (_, index) => `s${index}: { p: { $ref: "#/s${(index + 1) % 1000}" } }`);
    const { root, follow } = await documents({ 'main.yaml': schemas.join('\n') });
    let [part, left] = [at(root, 's0'), 0];
    for (let index = 1; index <= 1000; index += 1) {
      const next = at(part, 'p');
      if (next['$ref'] !== undefined) left += 1;
      part = at({ next: follow(next) }, 'next');
      assert.equal(part, at(root, `s${index % 1000}`));
    }
    assert.ok(left > 1 && left < 20, String(left));
  });

  it('may be made of so many files, and no more', async () => {
    const texts = (count: number): Record<string, string> =>
      Object.fromEntries(
        Array.from({ length: count }, (_, index) => [
          index === 0 ? 'main.yaml' : `f${index}.yaml`,
          index === count - 1 ? 'a: 1' : `a: { $ref: "f${index + 1}.yaml#/a" }`,
        ]),
      );
    assert.equal((await documents(texts(limits.documentFiles))).root['a'] !== undefined, true);
    assert.deepEqual(await problemsOf(texts(limits.documentFiles + 1)), [
      `api/f255.yaml:1:12 a.$ref leads to "api/f256.yaml", which is one file too many: a document may have ${limits.documentFiles}`,
    ]);
  });
});

describe('the files of an API document', () => {
  let folder: string;
  let server: Server;
  let origin: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'foregate-document-'));
    server = createServer((request, response) => {
      if (request.url === '/big') return void response.end(`a: ${'x'.repeat(limits.sourceBytes)}`);
      if (request.url === '/local') return void response.end(`a: { $ref: "file://${folder}/secret.yaml" }`);
      if (request.url === '/good') return void response.end('a: { b: far }');
      response.writeHead(404).end();
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await writeFile(join(folder, 'secret.yaml'), 'secret: 1');
  });

  after(async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    await rm(folder, { recursive: true });
  });

  async function read(ref: string, network: boolean): Promise<unknown> {
    const file = join(folder, 'main.yaml');
    await writeFile(file, `a: { $ref: ${JSON.stringify(ref)} }`);
    return readApiDocument(file, { network }).then(
      ({ root }) => root['a'],
      (error: unknown) =>
        error instanceof ConfigError ? error.problems.map(({ line, message }) => `${line} ${message}`) : error,
    );
  }

  it('come from the network only where that is allowed', async () => {
    assert.deepEqual(await read(`${origin}/good#/a`, true), { b: 'far' });
    assert.deepEqual(await read(`${origin}/good#/a`, false), [
      `1 leads to "${origin}/good", which is on the network: write "network: true" beside the document, or copy it here`,
    ]);
  });

  it('are bounded, must be there, and name no files of this machine when they come from the network', async () => {
    assert.deepEqual(await read(`${origin}/big`, true), [
      `1 leads to "${origin}/big", which is larger than ${limits.sourceBytes} bytes`,
    ]);
    assert.deepEqual(await read(`${origin}/none`, true), [`1 leads to "${origin}/none", which was answered with 404`]);
    assert.deepEqual(await read('http://127.0.0.1:1/x', true), ['1 leads to "http://127.0.0.1:1/x", which cannot be fetched']);
    const [local = ''] = (await read(`${origin}/local`, true)) as string[];
    assert.match(local, /secret\.yaml", which is a file here, which a document from the network must not name$/);
    assert.deepEqual(await read('ftp://h.example/x', true), [
      '1 leads to "ftp://h.example/x", which is neither a file nor an http(s) URL',
    ]);
  });
});
