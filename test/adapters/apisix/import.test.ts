/** What is read of standalone files of APISIX, and what is told. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { apisixExporter } from '../../../adapters/apisix/export.ts';
import { apisixImporter } from '../../../adapters/apisix/import.ts';
import type { GatewayLimit, GatewayRoute, ImportedModel } from '../../../adapters/conversion/gateway-route.ts';
import { anyCallers, anyRoute, gateway, modelOf, numbered } from '../conversion/gateway-routes.ts';

function read(text: string): ImportedModel {
  return apisixImporter.read([{ name: 'apisix.yaml', text: `${text}\n#END\n` }], gateway);
}

function toldOf(text: string): string {
  return read(text)
    .remarks.map(({ about, text: said }) => `${about}: ${said}`)
    .join('\n');
}

const withRoute = (route: string): string =>
  `routes:\n  - { id: r, uri: "/a*", upstream: { nodes: { "127.0.0.1:9000": 1 } }, ${route} }`;

describe('the import from APISIX', () => {
  it('gives back what was exported', () => {
    const limit = fc
      .record({
        count: fc.integer({ min: 1, max: 1000 }),
        windowSeconds: fc.integer({ min: 1, max: 100_000 }),
        by: fc.constantFrom<GatewayLimit['by'][]>('caller', 'address', 'route'),
      })
      .map((one): GatewayLimit => ({ ...one }));
    const routes = fc.array(
      fc.record({ route: anyRoute, some: fc.array(limit, { maxLength: 1 }) }).map(({ route, some }): GatewayRoute => ({
        ...route,
        limits: some.filter(({ by }) => by !== 'caller' || route.auth.kind !== 'none'),
      })),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(routes, anyCallers, (some, callers) => {
        const model = modelOf(numbered(some), callers);
        const back = apisixImporter.read(
          [{ name: 'apisix.yaml', text: String(apisixExporter.write(model).files[0]?.content) }],
          gateway,
        );
        assert.deepEqual(
          back.routes.map(({ route }) => route).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
          model.routes,
        );
        assert.deepEqual(back.callers, callers);
        assert.deepEqual(back.remarks, []);
      }),
    );
  });

  it('finds services, upstreams and plugins for several routes', () => {
    const { routes, callers } = read(`
upstreams:
  - { id: 1, scheme: https, nodes: [{ host: b.internal, port: 8443, weight: 1 }], timeout: { connect: 1, send: 6, read: 6 } }
services:
  - { id: s, upstream_id: 1, hosts: [a.example], plugins: { key-auth: { query: key } } }
plugin_configs:
  - { id: 7, plugins: { limit-count: { count: 5, time_window: 60, key: remote_addr } } }
global_rules:
  - { id: 1, plugins: { client-control: { max_body_size: 2048 } } }
routes:
  - { id: one, uri: "/one*", service_id: s, plugin_config_id: 7, enable_websocket: true }
  - { id: two, uris: ["/two*", "/deux*"], upstream_id: 1, host: b.example, timeout: { connect: 1, send: 3, read: 3 } }
  - { id: off, uri: "/off*", upstream_id: 1, status: 0 }
  - { id: lost, uri: "/lost*", service_id: other }
consumers:
  - { username: alice, plugins: { key-auth: { key: k1 } } }
`);
    assert.deepEqual(
      routes.map(({ webSockets, route }) => [
        route.id,
        route.path,
        route.hosts,
        route.auth.kind,
        route.limits.length,
        route.readMs,
        webSockets,
      ]),
      [
        ['two', '/deux', ['b.example'], 'none', 0, 3000, false],
        ['one', '/one', ['a.example'], 'key', 1, 6000, true],
        ['two', '/two', ['b.example'], 'none', 0, 3000, false],
      ],
    );
    assert.equal(routes[0]?.route.backend.href, 'https://b.internal:8443/');
    assert.equal(routes[0]?.route.bodyBytes, 2048);
    assert.deepEqual(callers, [{ name: 'alice', key: 'k1' }]);
  });

  it('has the beginnings of paths, and says where they were more than that', () => {
    const path = (uri: string): string | undefined => read(withRoute('').replace('/a*', uri)).routes[0]?.route.path;
    const told = (uri: string): string => toldOf(withRoute('').replace('/a*', uri));
    assert.equal(path('/a/*'), '/a/');
    assert.equal(path('/*'), '/');
    assert.equal(path('/a'), '/a');
    assert.match(told('/a'), /^r: apisix\.yaml:2: fits \/a alone/);
    assert.equal(path('/a/:id/b'), '/a/');
    assert.match(told('/a/:id/b'), /^r: apisix\.yaml:2: the pattern \/a\/:id\/b is left to the gateway/);
  });

  it('tells each thing that it does not take over, with its line', () => {
    const told = toldOf(`colour: red
plugin_metadata: []
upstreams:
  - { id: 1, retries: 2, pass_host: node, hash_on: vars, nodes: { "a.internal:80": 1, "b.internal:80": 1 } }
routes:
  - id: r
    uri: /a*
    upstream_id: 1
    methods: [GET, POST]
    vars: [[arg_x, "==", 1]]
    remote_addrs: [10.0.0.0/8]
    plugins:
      cors: {}
      basic-auth: {}
      limit-count: { count: 1, time_window: 1, key: http_x }
      proxy-rewrite: { uri: /x, regex_uri: [a, b] }
  - { id: f, uri: /f*, upstream_id: 1, filter_func: "function(vars) return true end" }
  - { id: d, uri: /d*, upstream: { discovery_type: dns, service_name: x } }
consumers:
  - { username: a.b, plugins: { jwt-auth: { key: a } } }
`);
    for (const line of [
      'apisix.yaml: apisix.yaml:1: "colour" is not taken over',
      'r: apisix.yaml:4: "retries" is not taken over',
      'r: apisix.yaml:4: the backend gets another Host',
      'r: apisix.yaml:4: "hash_on" is not taken over',
      'r: apisix.yaml:4: is balanced over several nodes',
      'r: apisix.yaml:9: matches by GET, POST besides',
      'r: apisix.yaml:10: matches by "vars" besides',
      'r: apisix.yaml:11: "remote_addrs" is not taken over',
      'r: apisix.yaml:13: the plugin "cors" is not taken over',
      'r: apisix.yaml:14: checks credentials in another way; "auth: key" stands here',
      'r: apisix.yaml:15: its limit counts in a way',
      'r: apisix.yaml:16: "uri" is not taken over',
      'r: apisix.yaml:12: how "regex_uri" changes the path is not taken over',
      'f: apisix.yaml:17: is chosen by a function; it is left out',
      'd: apisix.yaml:18: leads to no address; it is left out',
      'a.b: apisix.yaml:20: "jwt-auth" is not taken over',
    ])
      assert.ok(told.includes(line), `${line}\n---\n${told}`);
  });

  it('misses the line without which APISIX reads nothing', () => {
    const { remarks } = apisixImporter.read([{ name: 'apisix.yaml', text: withRoute('') }], gateway);
    assert.match(remarks[0]?.text ?? '', /has no line "#END"/);
    assert.deepEqual(read(withRoute('')).remarks, []);
  });

  it('never throws, whatever stands in the file', () => {
    const some = fc.oneof(
      fc.json(),
      fc.json().map((json) => withRoute(`plugins: ${json}, hosts: ${json}, timeout: ${json}`)),
      fc.json().map((json) => `routes: [{ uri: "/a*", upstream: ${json} }]\nservices: ${json}\nconsumers: [${json}]`),
    );
    fc.assert(fc.property(some, (text) => void read(text)));
  });
});
