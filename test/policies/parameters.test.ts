/** How parameters are read and which pass: each style by itself, what is said of a fault, and over real sockets. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { Policy } from '../../gateway/core/policy.ts';
import { connect, createPolicy, testSession } from '../../gateway/testing/index.ts';
import { parameters } from '../../policies/parameters.ts';
import { clearStage, setStage } from '../protocol/stage.ts';
import { refusedClient } from '../support/client.ts';

afterEach(clearStage);

interface Asked {
  readonly path?: string;
  readonly headers?: readonly string[];
}

/** What is said of a request; undefined if it passes. */
async function faultOf(options: object, asked: Asked): Promise<string | undefined> {
  return faultBy(await createPolicy(parameters, options), asked);
}

async function faultBy(policy: Policy, { path = '/', headers = [] }: Asked): Promise<string | undefined> {
  const { verdict } = await connect(policy, testSession({ path, headers }));
  if (verdict === undefined) return undefined;
  assert.ok(verdict.kind === 'deny' && verdict.code === 'bad-request');
  return verdict.detail;
}

const places = {
  path: (text: string): Asked => ({ path: `/${text}?x=1` }),
  query: (text: string): Asked => ({ path: `/a?${text}` }),
  header: (text: string): Asked => ({ headers: ['P', text] }),
  cookie: (text: string): Asked => ({ headers: ['Cookie', 'other=1; ' + text] }),
};
type Place = keyof typeof places;

/** Whether a parameter `p`, written so, is read as exactly this value. */
async function isReadAs(written: Written, value: unknown): Promise<boolean> {
  const [place, text, style = {}] = written;
  const schema = { ...schemaFor(value), const: value };
  const one = { name: 'p', in: place, required: true, schema, ...style };
  const template = place === 'path' ? { template: '/{p}' } : {};
  return (await faultOf({ parameters: [one], ...template }, places[place](text))) === undefined;
}

type Written = readonly [place: Place, text: string, style?: object];

function schemaFor(value: unknown): object {
  if (Array.isArray(value)) return { type: 'array', items: schemaFor(value[0] ?? '') };
  if (typeof value !== 'object' || value === null) return { type: value === null ? ['null', 'string'] : typeof value };
  const properties = Object.entries(value).map(([name, one]) => [name, schemaFor(one)]);
  return { type: 'object', properties: Object.fromEntries(properties) };
}

const colours = ['blue', 'black', 'brown'];
const rgb = { R: 100, G: 200, B: 150 };

describe('parameters', () => {
  // The table "Style Examples" of OpenAPI 3.1, and what stands between its lines.
  const readings: readonly (readonly [written: Written, value: unknown])[] = [
    [['path', ';p=blue', { style: 'matrix' }], 'blue'],
    [['path', ';p', { style: 'matrix' }], ''],
    [['path', ';p=blue,black,brown', { style: 'matrix' }], colours],
    [['path', ';p=blue;p=black;p=brown', { style: 'matrix', explode: true }], colours],
    [['path', ';p=R,100,G,200,B,150', { style: 'matrix' }], rgb],
    [['path', ';R=100;G=200;B=150', { style: 'matrix', explode: true }], rgb],
    [['path', '.blue', { style: 'label' }], 'blue'],
    [['path', '.3.5', { style: 'label' }], 3.5],
    [['path', '.blue,black,brown', { style: 'label' }], colours],
    [['path', '.blue.black.brown', { style: 'label', explode: true }], colours],
    [['path', '.R,100,G,200,B,150', { style: 'label' }], rgb],
    [['path', '.R=100.G=200.B=150', { style: 'label', explode: true }], rgb],
    [['path', 'blue'], 'blue'],
    [['path', 'blue%2Cblack'], 'blue,black'],
    [['path', 'a+b'], 'a+b'],
    [['path', 'blue,black,brown'], colours],
    [['path', 'R,100,G,200,B,150'], rgb],
    [['path', 'R=100,G=200,B=150', { explode: true }], rgb],
    [['query', 'p='], ''],
    [['query', 'p'], ''],
    [['query', 'p=blue'], 'blue'],
    [['query', '%70=b%6cue'], 'blue'],
    [['query', 'q=1&&p=a+b&r=2'], 'a b'],
    [['query', 'p=a?b=c'], 'a?b=c'],
    [['query', 'p=5'], 5],
    [['query', 'p=-1.5e3'], -1500],
    [['query', 'p=true'], true],
    [['query', 'p='], null],
    [['query', 'p=blue&p=black&p=brown'], colours],
    [
      ['query', 'p=1&q=9&p=2'],
      [1, 2],
    ],
    [['query', 'p=blue,black,brown', { explode: false }], colours],
    [
      ['query', 'p=a%2Cb,c', { explode: false }],
      ['a,b', 'c'],
    ],
    [['query', 'p=', { explode: false }], []],
    [['query', 'p=R,100,G,200,B,150', { explode: false }], rgb],
    [['query', 'R=100&x=1&G=200&B=150'], rgb],
    [['query', 'p=blue%20black+brown', { style: 'spaceDelimited' }], colours],
    [['query', 'p=R%20100%20G%20200%20B%20150', { style: 'spaceDelimited' }], rgb],
    [['query', 'p=blue|black%7Cbrown', { style: 'pipeDelimited' }], colours],
    [['query', 'p=R|100|G|200|B|150', { style: 'pipeDelimited' }], rgb],
    [['query', 'p[R]=100&p%5BG%5D=200&p[B]=150', { style: 'deepObject' }], rgb],
    [['query', 'p=%7B%22a%22%3A[1]%7D', { json: true }], { a: [1] }],
    [['header', ' blue '], 'blue'],
    [['header', '%20'], '%20'],
    [['header', 'blue, black,brown'], colours],
    [['header', 'R,100,G,200,B,150'], rgb],
    [['header', 'R=100,G=200,B=150', { explode: true }], rgb],
    [['cookie', 'p=blue'], 'blue'],
    [['cookie', 'p="5"'], 5],
    [['cookie', 'p=100%'], '100%'],
    [['cookie', 'p=blue,black,brown', { explode: false }], colours],
    [['cookie', 'p=R,100,G,200,B,150', { explode: false }], rgb],
  ];
  for (const [written, value] of readings) {
    const [place, text, style] = written;
    it(`read ${JSON.stringify(value)} from the ${place} ${text} ${style ? JSON.stringify(style) : ''}`, async () => {
      assert.equal(await isReadAs(written, value), true);
    });
  }

  const integer = { type: 'integer', minimum: 0, maximum: 100 };
  const ids = { type: 'array', items: { type: 'integer' }, maxItems: 3 };
  const point = { type: 'object', properties: { x: { type: 'number' } }, required: ['x'], additionalProperties: false };
  const faults: readonly (readonly [one: object, written: string, rest: string | undefined])[] = [
    [{ schema: integer }, 'p=7', undefined],
    [{ schema: integer }, '', undefined],
    [{ schema: integer, required: true }, 'q=7', 'is missing.'],
    [{ schema: integer }, 'p=seven', 'must be integer.'],
    [{ schema: integer }, 'p=0x7', 'must be integer.'],
    [{ schema: integer }, 'p=007', 'must be integer.'],
    [{ schema: integer }, 'p=+7', 'must be integer.'],
    [{ schema: integer }, 'p=1e999', 'must be integer.'],
    [{ schema: integer }, `p=1${'0'.repeat(5000)}`, 'must be integer.'],
    [{ schema: integer }, 'p=', 'must be integer.'],
    [{ schema: integer, allowEmptyValue: true, required: true }, 'p', undefined],
    [{ schema: ids, allowEmptyValue: true, required: true }, 'p', undefined],
    [{ schema: integer }, 'p=101', 'must be <= 100.'],
    [{ schema: integer }, 'p=7&p=8', 'is given more than once.'],
    [{ schema: {} }, 'p=%E4', 'is not encoded as a URI is.'],
    [{ schema: {} }, 'p=1&%E4=2', undefined],
    [{ schema: { enum: [1, 2] } }, 'p=2', undefined],
    [{ schema: { enum: ['1', '2'] } }, 'p=2', undefined],
    [{ schema: { enum: [1, 2] } }, 'p=3', 'must be equal to one of the allowed values.'],
    [{ schema: { type: ['integer', 'string'], maxLength: 2, maximum: 1 } }, 'p=22', undefined],
    [{ schema: { anyOf: [{ type: 'integer' }, { $ref: '#/$defs/all' }], $defs: { all: { const: 'all' } } } }, 'p=all', undefined],
    [{ schema: { anyOf: [{ type: 'integer' }, { const: 'all' }] } }, 'p=none', 'must be integer.'],
    [{ schema: { oneOf: [{ type: 'string', maxLength: 2 }, ids] } }, 'p=1&p=2', undefined],
    [{ schema: { oneOf: [{ type: 'string', maxLength: 2 }, ids] } }, 'p=ab', undefined],
    [{ schema: ids }, 'p=1&p=x', 'is wrong at /1: it must be integer.'],
    [{ schema: ids }, 'p=1&p=2&p=3&p=4', 'must NOT have more than 3 items.'],
    [{ schema: point, style: 'deepObject' }, 'p[x]=1.5', undefined],
    [{ schema: point, style: 'deepObject' }, 'p[x]=a', 'is wrong at /x: it must be number.'],
    [{ schema: point, style: 'deepObject' }, 'p[x]=1&p[y]=2', 'must NOT have additional properties.'],
    [{ schema: point, style: 'deepObject' }, 'p[__proto__]=2&p[x]=1', 'must NOT have additional properties.'],
    [{ schema: point, style: 'deepObject' }, 'p[x]=1&p[x]=2', 'has a member more than once.'],
    [{ schema: point, style: 'deepObject' }, 'p[x][y]=1', 'is not written in its style.'],
    [{ schema: point, style: 'deepObject' }, 'p=1', 'is not written in its style.'],
    [{ schema: point, explode: false }, 'p=x,1,y', 'is not written in its style.'],
    [{ schema: point }, 'x=a', 'is wrong at /x: it must be number.'],
    [{ schema: point, json: true }, 'p={"x":1}', undefined],
    [{ schema: point, json: true }, 'p={"x":"a"}', 'is wrong at /x: it must be number.'],
    [{ schema: point, json: true }, 'p={"x":', 'is no JSON.'],
    [{ schema: {}, json: true }, `p=${'['.repeat(5000)}`, 'has too many levels.'],
    [
      { schema: { additionalProperties: { type: 'array', items: { type: 'null' } } }, json: true },
      'p={"secret":[1]}',
      'is wrong inside: it must be null.',
    ],
  ];
  for (const [one, written, rest] of faults) {
    const shown = written.length > 60 ? `${written.slice(0, 57)}...` : written;
    it(`${rest === undefined ? 'pass' : `say "${rest}" of`} ${shown} by ${JSON.stringify(one).slice(0, 90)}`, async () => {
      const said = await faultOf({ parameters: [{ name: 'p', in: 'query', ...one }] }, { path: `/?${written}` });
      assert.equal(said, rest && `The query parameter "p" ${rest}`);
    });
  }

  it('are required in the path, which must fit its template', async () => {
    const policy = await createPolicy(parameters, {
      template: '/rooms/{room}/v{version}-{edition}.json',
      parameters: [
        { name: 'version', in: 'path', schema: { type: 'integer' } },
        { name: 'room', in: 'path', schema: { maxLength: 8 } },
        { name: 'edition', in: 'path', schema: { enum: ['a', 'b-c'] } },
      ],
    });
    const none = 'The path is not one that is described here.';
    for (const [path, fault] of [
      ['/rooms/lobby/v1-a.json', undefined],
      ['/rooms/lobby/v1-b-c.json?v=2', undefined],
      ['/rooms/l%C3%B6bby/v1-a.json', undefined],
      ['/rooms/much-too-long/v1-a.json', 'The path parameter "room" must NOT have more than 8 characters.'],
      ['/rooms/%FF/v1-a.json', 'The path parameter "room" is not encoded as a URI is.'],
      ['/rooms/lobby/vx-a.json', 'The path parameter "version" must be integer.'],
      ['/rooms/lobby/v1-.json', none],
      ['/rooms/lobby/v-a.json', none],
      ['/rooms/lobby/v1-a', none],
      ['/rooms//v1-a.json', none],
      ['/rooms/lobby/v1-a.json/', none],
      ['/ROOMS/lobby/v1-a.json', none],
      ['/rooms/lobby', none],
    ] as const)
      assert.equal(await faultBy(policy, { path }), fault, path);
  });

  it('have names in header fields without regard to case, and are one list over several fields', async () => {
    const one = { name: 'X-Ids', in: 'header', required: true, schema: { type: 'array', items: { type: 'integer' } } };
    assert.equal(await faultOf({ parameters: [one] }, { headers: ['x-ids', '1, 2', 'X-IDS', '3'] }), undefined);
    assert.match((await faultOf({ parameters: [one] }, { headers: ['X-Ids', '1', 'x-ids', 'b'] })) ?? '', /"X-Ids" .* \/1/);
  });

  it('are not looked at where OpenAPI says that they are none', async () => {
    const ignored = ['Accept', 'content-type', 'Authorization'].map((name) => ({ name, in: 'header', required: true }));
    assert.equal(await faultOf({ parameters: ignored }, {}), undefined);
  });

  it('are never repeated to the client', async () => {
    const secret = 'sESAME1';
    const schemas = [
      { type: 'integer' },
      { pattern: '^b' },
      { type: 'object', additionalProperties: { type: 'integer' } },
      ids,
      point,
    ];
    for (const schema of schemas)
      for (const place of ['header', 'cookie'] as const) {
        const policy = await createPolicy(parameters, { parameters: [{ name: 'p', in: place, schema, explode: false }] });
        for (const text of [secret, `${secret},${secret}`, `x,${secret}`]) {
          const asked = places[place](place === 'cookie' ? `p=${text}` : text);
          const said = await faultBy(policy, asked);
          assert.ok(said !== undefined && !said.includes(secret), `${said} of ${text} by ${JSON.stringify(schema)}`);
        }
      }
  });

  it('read what was written, whatever is in it', async () => {
    const policies = await Promise.all(
      [
        { name: 'p', in: 'query', schema: { type: 'array', items: { type: 'string' } }, explode: false },
        { name: 'p', in: 'query', schema: { type: 'array', items: { type: 'string' } } },
      ].map((one) =>
        createPolicy(parameters, { parameters: [{ ...one, schema: { ...one.schema, maxItems: 3, items: { maxLength: 4 } } }] }),
      ),
    );
    const [joined, repeated] = policies;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ unit: 'binary', maxLength: 6 }), { minLength: 1, maxLength: 5 }), async (texts) => {
        const written = texts.map((text) => encodeURIComponent(text));
        const fits = texts.length <= 3 && texts.every((text) => Array.from(text).length <= 4);
        const query = [`p=${written.join(',')}`, written.map((text) => `p=${text}`).join('&')];
        for (const [index, policy] of [joined, repeated].entries()) {
          const { verdict } = await connect(policy ?? {}, testSession({ path: `/?${query[index]}` }));
          assert.equal(verdict === undefined, fits);
        }
      }),
    );
  });

  it('bear any query, path and fields', async () => {
    const policy = await createPolicy(parameters, {
      template: '/{a}-{b}/{c}',
      parameters: [
        { name: 'a', in: 'path', style: 'label', schema: { type: 'object' } },
        { name: 'b', in: 'path', style: 'matrix', explode: true, schema: { type: 'array' } },
        { name: 'd', in: 'query', style: 'deepObject', schema: { type: 'object' } },
        { name: 'e', in: 'cookie', schema: { type: 'integer' } },
        { name: 'f', in: 'header', json: true },
      ],
    });
    const piece = fc.string({ unit: fc.constantFrom(...'abcdef-/?&=;,.[]{}%20+"\\ö'.split('')), maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(piece, piece, piece, async (path, query, field) => {
        const headers = ['F', field, 'Cookie', field];
        const { verdict } = await connect(policy, testSession({ path: `/${path}?${query}`, headers }));
        assert.ok(verdict === undefined || verdict.kind === 'deny');
      }),
    );
  });
});

describe('parameters of clients', () => {
  const policies = [
    {
      use: 'parameters',
      template: '/rooms/{room}',
      parameters: [
        { name: 'room', in: 'path', schema: { pattern: '^[a-z]+$' } },
        { name: 'limit', in: 'query', schema: { type: 'integer' } },
      ],
    },
  ];

  it('are checked at handshakes and at plain requests, before anything goes on', async () => {
    const stage = await setStage({ route: { policies } });
    const client = await stage.open('/rooms/lobby?limit=5');
    client.send('hello');
    assert.equal(await client.nextText(), 'hello');
    const before = stage.backend.requests.length;
    const refused = await refusedClient(`${stage.url.replace('http', 'ws')}/rooms/Lobby`);
    assert.equal(refused.status, 400);
    assert.match(refused.body, /path parameter \\"room\\" must match pattern/);
    const plain = await fetch(`${stage.url}/rooms/lobby?limit=many`);
    assert.equal(plain.status, 400);
    assert.match(await plain.text(), /query parameter \\"limit\\" must be integer/);
    assert.equal(stage.backend.requests.length, before);
    assert.equal((await fetch(`${stage.url}/rooms/lobby?limit=5`)).status, 200);
  });
});
