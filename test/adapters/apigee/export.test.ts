/** `foregate export apigee`: bundles that Apigee's own checker takes, and what is refused. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { strFromU8, unzipSync, zipSync } from 'fflate';
import { apigeeExporter } from '../../../adapters/apigee/export.ts';
import type { GatewayRoute } from '../../../adapters/conversion/gateway-route.ts';
import { foregate } from '../../bin/command.ts';
import { installGateways, installTimeoutMs, requireGateway } from '../../chain/gateways.ts';
import { runProcess } from '../../support/processes.ts';
import { cloudModel, cloudRoute, folderWith, remarksFor, tokens } from '../conversion/cloud-fixtures.ts';
import { elementsOf, readXml } from '../conversion/read-xml.ts';

function zip(changes: Partial<GatewayRoute>): Uint8Array {
  const [file] = apigeeExporter.write(cloudModel([cloudRoute(changes)])).files;
  return file?.content as Uint8Array;
}

/** The files of the bundle, by name below `apiproxy/`. */
function bundle(changes: Partial<GatewayRoute>): Map<string, string> {
  const files = Object.entries(unzipSync(zip(changes)));
  return new Map(files.map(([name, content]) => [name.replace(/^apiproxy\//, ''), strFromU8(content)]));
}

/** The texts of all elements of that name in a file. */
function texts(changes: Partial<GatewayRoute>, file: string, name: string): string[] {
  return elementsOf(readXml(bundle(changes).get(file) ?? ''), name).map(({ text }) => text);
}

function attributes(changes: Partial<GatewayRoute>, file: string, name: string): unknown[] {
  return elementsOf(readXml(bundle(changes).get(file) ?? ''), name).map((node) => node.attributes);
}

const minute = { count: 600, windowSeconds: 60, by: 'caller' } as const;
const jwt = { ...tokens, jwks: 'https://login.example.com/keys?a=1&b=2' } as const;

describe('foregate export apigee', () => {
  it('writes a bundle whose steps check, count, and hide the credential', () => {
    const changes = { limits: [minute, { count: 25, windowSeconds: 10, by: 'route' as const }] };
    assert.deepEqual(
      [...bundle(changes).keys()],
      [
        'chat.xml',
        'policies/AM-HideCredential.xml',
        'policies/Q-Limit1.xml',
        'policies/RF-NotFound.xml',
        'policies/RF-TooLarge.xml',
        'policies/SA-Limit2.xml',
        'policies/VA-Key.xml',
        'proxies/default.xml',
        'targets/default.xml',
      ],
    );
    assert.deepEqual(texts(changes, 'proxies/default.xml', 'Name'), [
      'RF-NotFound',
      'RF-NotFound',
      'RF-TooLarge',
      'RF-TooLarge',
      'RF-TooLarge',
      'VA-Key',
      'Q-Limit1',
      'SA-Limit2',
    ]);
    assert.deepEqual(texts(changes, 'proxies/default.xml', 'Condition').slice(0, 4), [
      'request.verb != "POST"',
      'request.header.content-type != "application/websocket-events"',
      'request.header.transfer-encoding != null',
      'request.header.content-length = null',
    ]);
    assert.deepEqual(texts(changes, 'targets/default.xml', 'Name'), ['AM-HideCredential']);
    assert.deepEqual(attributes(changes, 'policies/AM-HideCredential.xml', 'Header'), [{ name: 'x-api-key' }]);
    assert.deepEqual(attributes(changes, 'policies/VA-Key.xml', 'APIKey'), [{ ref: 'request.header.x-api-key' }]);
  });

  it('writes a target with timeouts, and streams both ways', () => {
    assert.equal(
      bundle({}).get('targets/default.xml'),
      `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<TargetEndpoint name="default">
  <!-- Made by "foregate export apigee"; made again, it is overwritten. -->
  <PreFlow name="PreFlow">
    <Request>
      <Step>
        <Name>AM-HideCredential</Name>
      </Step>
    </Request>
    <Response />
  </PreFlow>
  <Flows />
  <PostFlow name="PostFlow">
    <Request />
    <Response />
  </PostFlow>
  <HTTPTargetConnection>
    <Properties>
      <Property name="connect.timeout.millis">2000</Property>
      <Property name="io.timeout.millis">15000</Property>
      <Property name="request.streaming.enabled">true</Property>
      <Property name="response.streaming.enabled">true</Property>
    </Properties>
    <SSLInfo>
      <Enabled>true</Enabled>
      <Enforce>true</Enforce>
      <IgnoreValidationErrors>false</IgnoreValidationErrors>
    </SSLInfo>
    <URL>https://backend.example.com/chat</URL>
  </HTTPTargetConnection>
</TargetEndpoint>
`,
    );
    assert.match(bundle({}).get('proxies/default.xml') ?? '', /<Property name="request\.streaming\.enabled">true</);
    assert.deepEqual(texts({ stripPath: true, backend: new URL('http://b.example/v1') }, 'targets/default.xml', 'SSLInfo'), []);
    assert.deepEqual(texts({ stripPath: true }, 'targets/default.xml', 'URL'), ['https://backend.example.com']);
  });

  it('counts whole minutes, hours and days as they are, and other windows more strictly', () => {
    const quota = (windowSeconds: number): string[] =>
      ['Interval', 'TimeUnit'].flatMap((name) =>
        texts({ limits: [{ ...minute, windowSeconds }] }, 'policies/Q-Limit1.xml', name),
      );
    assert.deepEqual(
      [quota(60), quota(5400), quota(7200), quota(172_800), quota(61)],
      [
        ['1', 'minute'],
        ['90', 'minute'],
        ['2', 'hour'],
        ['2', 'day'],
        ['2', 'minute'],
      ],
    );
    const rate = (count: number, windowSeconds: number): string[] =>
      texts({ limits: [{ count, windowSeconds, by: 'caller' }] }, 'policies/SA-Limit1.xml', 'Rate');
    assert.deepEqual([rate(10, 1), rate(25, 10)], [['10ps'], ['2ps']]);
    const few = { limits: [{ count: 5, windowSeconds: 10, by: 'caller' }] } as const;
    assert.deepEqual(attributes(few, 'policies/Q-Limit1.xml', 'Allow'), [{ count: '5' }]);
  });

  it('counts by caller only where a limit says so', () => {
    const identifier = (changes: Partial<GatewayRoute>): unknown[] => attributes(changes, 'policies/Q-Limit1.xml', 'Identifier');
    assert.deepEqual(identifier({ limits: [minute] }), [{ ref: 'verifyapikey.VA-Key.client_id' }]);
    assert.deepEqual(identifier({ limits: [minute], auth: jwt }), [{ ref: 'jwt.VJWT-Token.claim.subject' }]);
    assert.deepEqual(identifier({ limits: [{ ...minute, by: 'route' }] }), []);
  });

  it('escapes what tokens must say', () => {
    const changes = { auth: { ...jwt, audience: `a<b>&"c"$'` } };
    assert.deepEqual(texts(changes, 'policies/VJWT-Token.xml', 'Audience'), [`a<b>&"c"$'`]);
    assert.deepEqual(attributes(changes, 'policies/VJWT-Token.xml', 'JWKS'), [{ uri: jwt.jwks }]);
  });

  it('answers for its hosts only, and not for the path itself where it ends with /', () => {
    const conditions = texts({ hosts: ['*.Example.com', 'b.example'], path: '/chat/' }, 'proxies/default.xml', 'Condition');
    const host = (pattern: string): string => `(request.header.host ~~ "(?i)^${pattern}(:[0-9]+)?$")`;
    assert.ok(conditions.includes(`!(${host('[^:]+[.]example[.]com')} or ${host('b[.]example')})`), conditions.join('\n'));
    assert.ok(conditions.includes('proxy.pathsuffix = ""'));
    assert.deepEqual(texts({ path: '/chat/' }, 'proxies/default.xml', 'BasePath'), ['/chat']);
    assert.deepEqual(texts({ path: '/' }, 'proxies/default.xml', 'BasePath'), ['/']);
  });

  it('gives the same bytes in every time zone, sorted by name', () => {
    const zone = process.env['TZ'];
    const inZone = (name: string): Uint8Array => {
      process.env['TZ'] = name;
      return zip({});
    };
    try {
      assert.deepEqual(inZone('Pacific/Auckland'), inZone('America/Los_Angeles'));
    } finally {
      if (zone === undefined) delete process.env['TZ'];
      else process.env['TZ'] = zone;
    }
    const model = cloudModel([cloudRoute(), cloudRoute({ id: 'a', path: '/a' })]);
    assert.deepEqual(
      apigeeExporter.write(model).files.map(({ name }) => name),
      ['apigee-a.zip', 'apigee-chat.zip'],
    );
  });

  const cases: readonly (readonly [RegExp, Partial<GatewayRoute>])[] = [
    [/^refused a\.b: has a "\." in its id/, { id: 'a.b' }],
    [/^refused chat: expects the key in "a b"/, { auth: { kind: 'key', place: { in: 'query', name: 'a b' }, hidden: true } }],
    [/^refused chat: needs "jwt\.jwks"/, { auth: tokens }],
    [/^refused chat: has "\{private\.x\}" in "jwt"/, { auth: { ...jwt, audience: '{private.x}' } }],
    [/^tightened chat: takes tokens that are signed with RS256/, { auth: jwt }],
    [
      /^tightened chat: allows 25 requests in 10 s as 2 in each second/,
      { limits: [{ ...minute, count: 25, windowSeconds: 10 }] },
    ],
    [/^tightened chat: allows 600 requests in 90 s as 600 in 2 minutes/, { limits: [{ ...minute, windowSeconds: 90 }] }],
    [/^refused chat: limits by address/, { limits: [{ ...minute, by: 'address' }] }],
    [/^told chat: is answered for a\.example only/, { hosts: ['a.example'] }],
  ];
  for (const [pattern, changes] of cases)
    it(`says: ${pattern.source.replace('^', '').replaceAll('\\', '')}`, () => {
      const remarks = remarksFor(apigeeExporter, changes);
      assert.ok(
        remarks.some((remark) => pattern.test(remark)),
        remarks.join('\n'),
      );
    });
});

describe('apigeelint', () => {
  let folder: string;
  before(async function () {
    this.timeout(installTimeoutMs);
    await installGateways();
    folder = mkdtempSync(join(tmpdir(), 'foregate-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** What it finds in a zip: errors of all files. */
  async function errorsOf(content: Uint8Array): Promise<number> {
    const file = join(folder, 'bundle.zip');
    writeFileSync(file, content);
    const cli = join(dirname(requireGateway.resolve('apigeelint/package.json')), 'cli.js');
    const result = join(folder, 'result.json');
    const flags = ['-f', 'json.js', '--profile', 'apigeex', '--norc', '-q', '-w', result];
    // It ends with 1 where there is an error.
    await runProcess(process.execPath, [cli, '-s', file, ...flags]).catch(() => '');
    const found = JSON.parse(readFileSync(result, 'utf8')) as readonly { readonly errorCount: number }[];
    assert.ok(found.length > 3);
    return found.reduce((sum, { errorCount }) => sum + errorCount, 0);
  }

  it('finds no error in any kind of bundle', async () => {
    const kinds: readonly Partial<GatewayRoute>[] = [
      { limits: [minute, { count: 25, windowSeconds: 10, by: 'route' }], hosts: ['*.example.com', 'b.example'] },
      { auth: { ...jwt, hidden: true, audience: `a<b>&"c"$'` }, path: '/', eventsOnly: false, limits: [minute] },
      {
        auth: { kind: 'key', place: { in: 'query', name: 'apikey' }, hidden: true },
        path: '/chat/',
        backend: new URL('http://b.example'),
      },
      { auth: { kind: 'none' }, stripPath: true, bodyBytes: 1024 },
    ];
    for (const kind of kinds) assert.equal(await errorsOf(zip(kind)), 0, JSON.stringify(kind));
  }).timeout(20_000);

  it('would find one', async () => {
    const files = Object.entries(unzipSync(zip({})));
    const broken = files.map(([name, content]) => [name, Buffer.from(strFromU8(content).replace('!= "POST"', '(( "POST"'))]);
    assert.ok((await errorsOf(zipSync(Object.fromEntries(broken) as Record<string, Uint8Array>))) > 0);
  }).timeout(20_000);
});

describe('the command foregate export apigee', () => {
  const gateway = 'backend: "https://b.example", callers: [{ name: alice, key: hunter2 }]';
  const folder = folderWith(() =>
    [
      'routes:',
      '  - id: chat',
      '    match: { path: /chat, transports: [websocket] }',
      '    target: https://api.example.com',
      `    adapter: { use: apigee, gateway: { ${gateway} } }`,
      '  - id: v1.odd',
      '    match: { path: /odd }',
      '    target: https://api.example.com',
      '    adapter: { use: apigee, gateway: { backend: "https://b.example" } }',
      '',
    ].join('\n'),
  );

  it('writes a zip without keys of callers', async () => {
    const ended = await foregate(['export', 'apigee', '--route', 'chat', '-o', 'out', '--with-secrets'], { cwd: folder() });
    assert.deepEqual([ended.code, ended.stdout], [0, 'Wrote out/apigee-chat.zip.\n']);
    assert.match(ended.stderr, /^alice: is to be made an app in Apigee, which holds its key$/m);
    const content = readFileSync(join(folder(), 'out/apigee-chat.zip'));
    assert.ok(!content.includes('hunter2'));
    assert.ok('apiproxy/policies/VA-Key.xml' in unzipSync(content));
  }).timeout(20_000);

  it('writes nothing and ends with 1 where something is refused', async () => {
    const { code, stdout, stderr } = await foregate(['export', 'apigee', '-o', 'refused'], { cwd: folder() });
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /Nothing is written\.\n[^]*refused: v1\.odd: has a "\." in its id/);
    assert.ok(!existsSync(join(folder(), 'refused')));
  }).timeout(20_000);
});
