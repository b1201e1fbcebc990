import assert from 'node:assert/strict';
import { Agent, request, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import * as fc from 'fast-check';
import { documentedOperations, type DocumentedOperation } from '../openapi/control/document-schemas.ts';
import { fitting, nearlyFitting } from '../openapi/control/schema-values.ts';
import { answerFaults, requestFaults, type Exchange } from './documented-calls.ts';
import { controlParts, FakeHost, listen, plainServer } from './fake-host.ts';

/** FOREGATE_SEED=… repeats a run. */
const seed = Number(process.env['FOREGATE_SEED'] ?? Date.now() % 0x7fff_ffff);
const runs = { seed, numRuns: 80 };

interface Call {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Of these bodies there are parts that nobody looks at: all of one, and formats with actions that do nothing here. */
const unread = ['/recover/', '/publish/'];

describe(`calls made from the document (FOREGATE_SEED=${seed})`, () => {
  const agent = new Agent({ keepAlive: true });
  let server: Server;
  let port: number;

  before(async () => {
    const host = new FakeHost();
    host.add('s1', ['a'], 'alice');
    server = plainServer(controlParts(host));
    port = await listen(server);
  });

  after(() => {
    agent.destroy();
    server.close();
  });

  for (const documented of documentedOperations()) {
    const { method, path } = documented;
    it(`${method.toUpperCase()} ${path} answers bad ones as documented, and never by an error of ours`, async () => {
      await fc.assert(
        fc.asyncProperty(badCalls(documented), async (call) => {
          const exchange = await assertAsDocumented(call);
          const { answer, headers } = exchange;
          if (answer.status < 300 && headers['content-type'] === 'application/json' && !unread.includes(path))
            assert.deepEqual(requestFaults(exchange), [], 'It is taken, and the document does not allow it');
          assert.doesNotMatch(answer.text ?? '', /\bat .*\.[jt]s:\d+/);
        }),
        runs,
      );
    });

    it(`${method.toUpperCase()} ${path} never calls a good one malformed`, async () => {
      await fc.assert(
        fc.asyncProperty(goodCalls(documented), async (call) => {
          const exchange = await assertAsDocumented(call);
          assert.deepEqual(requestFaults(exchange), []);
          assert.ok(![405, 406, 411, 413, 415].includes(exchange.answer.status), exchange.answer.text ?? '');
        }),
        { ...runs, numRuns: 20 },
      );
    });
  }

  it('of any method and path are answered as documented', async () => {
    const method = fc.constantFrom('get', 'head', 'post', 'put', 'delete', 'patch', 'options');
    const path = fc.oneof(
      fc.constantFrom(...documentedOperations().map((each) => each.path)),
      segment.map((each) => `/${each}`),
    );
    await fc.assert(
      fc.asyncProperty(method, path, async (name, where) => {
        await assertAsDocumented({ method: name, path: where, headers: {}, body: Buffer.alloc(0) });
      }),
      runs,
    );
  });

  async function assertAsDocumented(call: Call): Promise<Exchange> {
    const exchange = await exchangeOf(call);
    assert.ok(exchange.answer.status < 500, `${exchange.answer.status} ${exchange.answer.text}`);
    assert.deepEqual(answerFaults(exchange), [], `${exchange.answer.status} ${exchange.answer.text}`);
    return exchange;
  }

  async function exchangeOf({ method, path, headers, body }: Call): Promise<Exchange> {
    const sent = { ...headers, 'content-length': String(body.length) };
    const made = request({ port, host: '127.0.0.1', path, method, agent, headers: sent });
    made.end(body);
    return new Promise((resolve, reject) => {
      made.on('error', reject);
      made.on('response', (response) => {
        const fields = Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, String(value)]));
        const answered = (answer: string): void =>
          resolve({
            method,
            path,
            headers: sent,
            body: body.length === 0 ? undefined : body.toString(),
            answer: { status: response.statusCode ?? 0, headers: fields, text: answer },
          });
        void text(response).then(answered, reject);
      });
    });
  }
});

const segment = fc.oneof(
  fc.string({ minLength: 1 }).map((value) => encodeURIComponent(wellFormed(value))),
  fc.constantFrom('%ff', '%', '%00', '..%2f..%2fetc%2fpasswd', '%2e%2e', 's1', 'a/b', 'x'.repeat(5000)),
);

function badCalls(documented: DocumentedOperation): fc.Arbitrary<Call> {
  const headers = fc.record(
    {
      accept: fc.constantFrom('application/json', 'text/plain', '*/*', 'image/png', ';;q=', 'text/html;q=x'),
      'content-type': fc.constantFrom('application/json', 'text/plain', 'application/json; charset=utf-16', 'x', '/;='),
      'content-encoding': fc.constantFrom('gzip', 'identity', 'x'),
      'if-none-match': fc.constantFrom('*', '"x"'),
    },
    { requiredKeys: [] },
  );
  const values = bodySchema(documented).map(nearlyFitting);
  const json = fc.oneof(...values, fc.jsonValue({ maxDepth: 4 })).map((value) => JSON.stringify(value));
  const body = fc.oneof(
    { weight: 8, arbitrary: json.map((value) => Buffer.from(value)) },
    { weight: 1, arbitrary: fc.tuple(json, fc.nat(30)).map(([value, end]) => Buffer.from(value.slice(0, -end))) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((value) => Buffer.from(value)) },
  );
  const given = documented.method === 'post' ? body : fc.constant(Buffer.alloc(0));
  return fc.record({ method: fc.constant(documented.method), path: badPath(documented), headers, body: given });
}

function goodCalls(documented: DocumentedOperation): fc.Arbitrary<Call> {
  const [schema] = bodySchema(documented);
  return fc.record({
    method: fc.constant(documented.method),
    path: goodPath(documented),
    headers: fc.constant(schema ? { 'content-type': 'application/json' } : {}),
    body: schema ? fitting(schema).map((value) => Buffer.from(JSON.stringify(value))) : fc.constant(Buffer.alloc(0)),
  });
}

function bodySchema({ operation: { requestBody } }: DocumentedOperation): object[] {
  const schema = requestBody && 'content' in requestBody ? requestBody.content['application/json']?.schema : undefined;
  return schema ? [schema] : [];
}

type ValuesOf = (schema: object) => fc.Arbitrary<unknown>;

/** A path with what the document says of its parameters. */
function goodPath({ path, operation }: DocumentedOperation): fc.Arbitrary<string> {
  const parts = fc.tuple(parameters(operation, 'path', fitting), parameters(operation, 'query', fitting));
  return parts.map(([inPath, inQuery]) => written(path, (name) => encoded(inPath[name]) || 's1', inQuery));
}

function badPath({ path, operation }: DocumentedOperation): fc.Arbitrary<string> {
  const more = fc.constantFrom('', '', '', '&limit=1&limit=2', '&%ff=%', '&a[b]=c&__proto__=1');
  const query = fc.tuple(parameters(operation, 'query', nearlyFitting), more);
  return fc.tuple(segment, query).map(([inPath, [inQuery, end]]) => {
    const whole = written(path, () => inPath, inQuery);
    return end === '' ? whole : `${whole}${whole.includes('?') ? '' : '?'}${end}`;
  });
}

/** Values of the parameters in one place; those in a query may be left out. */
function parameters(operation: DocumentedOperation['operation'], place: string, valuesOf: ValuesOf) {
  const values = (operation.parameters ?? []).flatMap((each) =>
    '$ref' in each || each.in !== place || !each.schema ? [] : [[each.name, valuesOf(each.schema)] as const],
  );
  const members: Record<string, fc.Arbitrary<unknown>> = Object.fromEntries(values);
  return fc.record<Record<string, unknown>, string>(members, { requiredKeys: place === 'path' ? Object.keys(members) : [] });
}

function written(path: string, inPath: (name: string) => string, inQuery: Readonly<Record<string, unknown>>): string {
  const filled = path.replace(/\{(\w+)\}/, (_all, name: string) => inPath(name));
  const query = Object.entries(inQuery).map(([name, value]) => `${name}=${encoded(value)}`);
  return query.length === 0 ? filled : `${filled}?${query.join('&')}`;
}

function encoded(value: unknown): string {
  return encodeURIComponent(wellFormed(typeof value === 'string' ? value : (JSON.stringify(value) ?? '')));
}

/** As it would travel. */
function wellFormed(value: string): string {
  return Buffer.from(value).toString();
}
