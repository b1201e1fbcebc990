/** What is read of declarative files of Kong, and what is told. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { FoundRoute, GatewayLimit, GatewayRoute, ImportedModel } from '../../../adapters/conversion/gateway-route.ts';
import { kongExporter } from '../../../adapters/kong/export.ts';
import { kongImporter } from '../../../adapters/kong/import.ts';
import { anyCallers, anyRoute, gateway, modelOf, numbered, refusals } from '../conversion/gateway-routes.ts';

function read(text: string): ImportedModel {
  return kongImporter.read([{ name: 'kong.yaml', text }], gateway);
}

function toldOf(text: string): string {
  return read(text)
    .remarks.map(({ about, text: said }) => `${about}: ${said}`)
    .join('\n');
}

const head = `_format_version: "3.0"\nservices:\n  - name: chat\n    url: http://127.0.0.1:9000\n`;
const withRoute = (route: string): string => `${head}    routes: [${route}]\n`;
const paths = (text: string): string[] => read(text).routes.map(({ route }) => route.path);

describe('the import from Kong', () => {
  it('gives back what was exported', () => {
    const counts: readonly GatewayLimit['by'][] = ['caller', 'address', 'route'];
    const windows = fc.constantFrom<readonly (readonly [number, number])[]>(
      [],
      [[5, 60]],
      [
        [2, 1],
        [7, 86_400],
      ],
      [[1, 3600]],
    );
    const limits = fc
      .record({ by: fc.constantFrom(...counts), some: windows })
      .map(({ by, some }) => some.map(([count, windowSeconds]) => ({ count, windowSeconds, by })));
    const routes = fc.array(
      fc.record({ route: anyRoute, some: limits }).map(({ route, some }): GatewayRoute => ({
        ...route,
        limits: some.filter(({ by }) => by !== 'caller' || route.auth.kind !== 'none'),
      })),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(routes, anyCallers, (some, callers) => {
        const model = modelOf(numbered(some), callers);
        const { files } = kongExporter.write(model);
        const back = read(String(files[0]?.content));
        const found = back.routes.map(({ route }) => route);
        assert.deepEqual(
          found.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
          model.routes,
        );
        assert.deepEqual(back.callers, callers);
        assert.deepEqual(back.remarks, []);
      }),
    );
  });

  it('keeps an order that was not refused', () => {
    fc.assert(
      fc.property(fc.array(anyRoute, { minLength: 2, maxLength: 2 }), (two) => {
        const model = modelOf(numbered(two));
        const { files, remarks } = kongExporter.write(model);
        const [first, second] = model.routes as [GatewayRoute, GatewayRoute];
        fc.pre(refusals(remarks).length === 0 && first.path.startsWith(second.path) && second.hosts.length === 0);
        assert.deepEqual(
          read(String(files[0]?.content)).routes.map(({ route }) => route.id),
          ['route-0', 'route-1'],
        );
      }),
    );
  });

  it('reads entities that stand apart, with references by name and by id', () => {
    const text = `
_format_version: "2.1"
services:
  - { name: chat, id: 11, protocol: https, host: chat.internal, port: 8443, path: /v1/, read_timeout: 5000 }
routes:
  - { name: by-name, service: { name: chat }, paths: [/a] }
  - { name: by-id, service: { id: 11 }, paths: [/b], strip_path: false }
  - { name: plain, service: chat, paths: [/c] }
  - { name: lost, service: other, paths: [/d] }
plugins:
  - { name: key-auth, service: chat, config: { hide_credentials: true } }
  - { name: jwt, route: lost }
  - { name: rate-limiting, route: { name: by-id }, config: { minute: 5, limit_by: ip } }
consumers:
  - { username: alice }
keyauth_credentials:
  - { consumer: { username: alice }, key: k1 }
`;
    const { routes, callers } = read(text);
    assert.deepEqual(
      routes.map(({ route: { id, path, stripPath, backend, readMs, auth, limits } }) => [
        id,
        path,
        stripPath,
        backend.href,
        readMs,
        auth.kind,
        limits.length,
      ]),
      [
        ['by-name', '/a', true, 'https://chat.internal:8443/v1', 5000, 'key', 0],
        ['by-id', '/b', false, 'https://chat.internal:8443/v1', 5000, 'key', 1],
        ['plain', '/c', true, 'https://chat.internal:8443/v1', 5000, 'key', 0],
      ],
    );
    assert.deepEqual(callers, [{ name: 'alice', key: 'k1' }]);
    assert.match(toldOf(text), /^lost: kong\.yaml:9: there is no service "other"; the route is left out$/m);
    assert.match(toldOf(text), /^plugin jwt: kong\.yaml:12: there is no route "lost"/m);
  });

  it('takes the plugin that is nearest to a route, and none that is switched off', () => {
    const { routes } = read(`
_format_version: "3.0"
plugins:
  - { name: request-size-limiting, config: { allowed_payload_size: 3, size_unit: bytes } }
services:
  - name: chat
    host: 127.0.0.1
    plugins: [{ name: request-size-limiting, config: { allowed_payload_size: 2 } }]
    routes:
      - { name: own, paths: [/own], plugins: [{ name: request-size-limiting, config: { allowed_payload_size: 1, size_unit: kilobytes } }] }
      - { name: off, paths: [/off], plugins: [{ name: request-size-limiting, enabled: false }] }
  - { name: other, host: 127.0.0.1, routes: [{ name: global, paths: [/g] }] }
`);
    assert.deepEqual(Object.fromEntries(routes.map(({ route }) => [route.id, route.bodyBytes])), {
      own: 1024,
      off: 2 * 1024 ** 2,
      global: 3,
    });
  });

  it('sorts as Kong tries them', () => {
    const text = `${head}    routes:
      - { name: any, hosts: [a.example] }
      - { name: short, paths: [/a] }
      - { name: long, paths: [/a/long] }
      - { name: wild, paths: [/], hosts: ["*.example"] }
      - { name: both, paths: [/], hosts: [a.example] }
      - { name: regex, paths: ["~/r"] }
`;
    assert.deepEqual(
      read(text).routes.map(({ route }) => route.id),
      ['both', 'wild', 'any', 'regex', 'long', 'short'],
    );
  });

  it('reads several paths and hosts, without ports', () => {
    const { routes } = read(withRoute(`{ name: r, paths: [/a, /b], hosts: ["a.example:8000", "b.*"] }`));
    assert.deepEqual(
      routes.map(({ route }) => [route.path, route.hosts]),
      [
        ['/a', ['a.example']],
        ['/b', ['a.example']],
      ],
    );
    assert.match(toldOf(withRoute(`{ name: r, hosts: ["b.*"] }`)), /r: kong\.yaml:5: .*; the route is left out/);
  });

  it('has the literal beginning of a regular expression, in each format', () => {
    assert.deepEqual(paths(withRoute(`{ name: r, paths: ['~/rooms/\\d+$'] }`)), ['/rooms/']);
    assert.deepEqual(paths(withRoute(`{ name: r, paths: ['~/a|/b'] }`)), ['/']);
    assert.deepEqual(paths(withRoute(`{ name: r, paths: ['~/rooms?/x'] }`)), ['/room']);
    assert.deepEqual(paths(withRoute(`{ name: r, paths: ['~/v1\\.0/(a|b)'] }`)), ['/v1.0/']);
    assert.deepEqual(paths(withRoute(`{ name: r, paths: ['/rooms/(x)'] }`)), ['/rooms/(x)']);
    assert.deepEqual(paths(withRoute(`{ name: r, paths: ['/rooms/(x)'] }`).replace('3.0', '1.1')), ['/rooms/']);
    assert.match(
      toldOf(withRoute(`{ name: r, paths: ['~/a\\d'] }`)),
      /^r: kong\.yaml:5: the regular expression ~\/a\\d is left/m,
    );
  });

  it('marks routes that passed WebSockets, and events', () => {
    const one = (route: string): FoundRoute | undefined => read(withRoute(route)).routes[0];
    assert.equal(one(`{ name: r, protocols: [wss] }`)?.webSockets, true);
    assert.equal(one(`{ name: r, protocols: [http] }`)?.webSockets, false);
    const events = `headers: { Content-Type: [application/websocket-events] }`;
    assert.equal(one(`{ name: r, methods: [POST], ${events} }`)?.route.eventsOnly, true);
    assert.equal(one(`{ name: r, methods: [GET], ${events} }`)?.route.eventsOnly, false);
    assert.match(toldOf(withRoute(`{ name: r, methods: [POST], paths: [/a] }`)), /matches by POST besides/);
  });

  it('lets nobody in where it does not know how Kong checks', () => {
    const text = withRoute(`{ name: r, plugins: [{ name: basic-auth }] }`);
    assert.equal(read(text).routes[0]?.route.auth.kind, 'key');
    assert.match(toldOf(text), /^r: kong\.yaml:5: checks credentials by "basic-auth"; "auth: key" stands here/m);
  });

  it('tells each thing that it does not take over, with its line', () => {
    const told = toldOf(`
_format_version: "3.0"
colour: red
services:
  - name: chat
    url: http://127.0.0.1:9000
    retries: 5
    client_certificate: { id: 1 }
    routes:
      - name: r
        snis: [a.example]
        preserve_host: false
        plugins:
          - name: cors
          - name: key-auth
            config: { key_names: [a, b], anonymous: guest, new: 1 }
          - name: rate-limiting
            config: { month: 5, minute: 1, limit_by: header }
consumers:
  - username: alice
    acls: [{ group: a }]
    plugins: [{ name: rate-limiting }]
  - username: "a b"
`);
    for (const line of [
      'kong.yaml: kong.yaml:3: "colour" is not taken over',
      'chat: kong.yaml:7: "retries: 5" is not taken over',
      'chat: kong.yaml:8: "client_certificate" is not taken over',
      'r: kong.yaml:11: "snis" is not taken over',
      'r: kong.yaml:12: the backend gets its own name',
      'r: kong.yaml:14: the plugin "cors" is not taken over',
      'r: kong.yaml:16: takes keys under several names',
      'r: kong.yaml:16: lets callers in without a credential',
      'r: kong.yaml:16: "new" is not taken over',
      'r: kong.yaml:18: counts by "header"; its limits are not taken over',
      'r: kong.yaml:18: "month" is not taken over',
      'alice: kong.yaml:21: "acls" is not taken over',
      'alice: kong.yaml:22: the plugin "rate-limiting" holds for some callers only',
      'callers: kong.yaml:23: one whose name',
    ])
      assert.ok(told.includes(line), `${line}\n---\n${told}`);
  });

  it('tells of counts that several routes share', () => {
    const plugin = `{ name: rate-limiting, config: { minute: 5 } }`;
    const text = `${head}    plugins: [${plugin}]\n    routes: [{ name: a, paths: [/a] }, { name: b, paths: [/b] }]\n`;
    assert.match(toldOf(text), /rate-limiting: kong\.yaml:5: 2 routes share its counts/);
  });

  it('leaves out a limit of half a request', () => {
    const text = withRoute('{ name: r, plugins: [{ name: rate-limiting, config: { minute: 0.5, hour: 3 } }] }');
    assert.deepEqual(
      read(text).routes.map(({ route }) => route.limits),
      [[{ count: 3, windowSeconds: 3600, by: 'address' }]],
    );
    assert.match(toldOf(text), /^r: kong\.yaml:5: a limit of 0\.5 in 60 s is not taken over$/m);
  });

  it('takes the first target of an upstream', () => {
    const text = `_format_version: "3.0"
upstreams: [{ name: pool, targets: [{ target: "10.0.0.1:9000" }, { target: "10.0.0.2:9000" }] }]
services: [{ name: chat, host: pool, path: /v1, routes: [{ name: r }] }]
`;
    assert.equal(read(text).routes[0]?.route.backend.href, 'http://10.0.0.1:9000/v1');
    assert.match(toldOf(text), /chat: kong\.yaml:2: is balanced over pool/);
  });

  it('says what is wrong with files that are none', () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${['b', 'c', 'd', 'e', 'f', 'g']
      .map((name, index) => `${name}: &${name} [${Array.from({ length: 9 }, () => `*${'abcdef'[index]}`).join(',')}]`)
      .join('\n')}\n`;
    assert.match(toldOf('a: [1'), /^kong\.yaml: is not valid YAML or JSON \(kong\.yaml:1, /);
    assert.match(toldOf('just text'), /is no mapping of keys/);
    assert.match(toldOf(''), /is no mapping of keys/);
    assert.match(toldOf(bomb), /uses its anchors more than 10000 times/);
    assert.match(toldOf('services: &a [*a]'), /or inside themselves/);
    assert.match(toldOf('services: *nothing'), /uses an anchor that is not there/);
    assert.match(toldOf('['.repeat(10_000)), /nested too deeply|not valid/);
    assert.match(toldOf('services: { name: chat }'), /kong\.yaml:1: "services" should be a list; it is not taken over/);
    assert.match(toldOf('services: [1]'), /"services" should be a list of mappings/);
    assert.match(toldOf('_format_version: "9"'), /"_format_version" should be one of/);
    assert.match(toldOf(withRoute('{ name: [x], strip_path: 7 }')), /"strip_path" should be true or false/);
  });

  it('understands anchors and merged mappings', () => {
    const text = `_format_version: "3.0"
_info: &usual { read_timeout: 7000, host: 127.0.0.1 }
services: [{ <<: *usual, name: chat, port: 81, routes: [{ name: r }] }]
`;
    assert.equal(read(text).routes[0]?.route.readMs, 7000);
    assert.equal(read(text).routes[0]?.route.backend.href, 'http://127.0.0.1:81/');
    const many = Array.from({ length: 300 }, (_, index) => `{ <<: *usual, name: s${index}, routes: [{ name: r${index} }] }`);
    const [first = ''] = text.split('services:');
    assert.equal(read(`${first}services: [${many.join(', ')}]`).routes.length, 300);
  });

  it('never throws, whatever stands in the file', () => {
    const some = fc.oneof(
      fc.json(),
      fc.json().map((json) => `services: [{ name: a, routes: [${json}], plugins: [${json}], host: ${json} }]`),
      fc.json().map((json) => withRoute(`{ paths: ${json}, headers: ${json}, plugins: [{ name: key-auth, config: ${json} }] }`)),
    );
    fc.assert(fc.property(some, (text) => void read(text)));
  });
});
