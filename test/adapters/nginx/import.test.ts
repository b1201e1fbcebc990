/** What `foregate import nginx` makes of configurations: of people, of `foregate export nginx`, and of nobody. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { importedSettings } from '../../../adapters/conversion/imported-routes.ts';
import { importers } from '../../../adapters/importers.ts';
import { exporters } from '../../../adapters/exporters.ts';
import type { GatewayModel, GatewayRoute, ImportedModel, InputFile } from '../../../adapters/conversion/gateway-route.ts';
import { writeImported } from '../../../adapters/conversion/imported-file.ts';
import { loadText } from '../../../gateway/index.ts';

const gateway = new URL('http://127.0.0.1:8080');

function read(files: string | readonly InputFile[]): ImportedModel {
  const importer = importers.find(({ name }) => name === 'nginx') ?? assert.fail('There is no importer nginx.');
  return importer.read(typeof files === 'string' ? [{ name: 'nginx.conf', text: files }] : files, gateway);
}

function only(text: string): GatewayRoute & { readonly webSockets: boolean } {
  const { routes } = read(text);
  assert.equal(routes.length, 1);
  const [{ route, webSockets }] = routes as [ImportedModel['routes'][number]]; // Just counted.
  return { ...route, webSockets };
}

function told(model: ImportedModel): readonly string[] {
  return model.remarks.map(({ about, text }) => `${about}: ${text}`);
}

const usual = `user www-data;
events { worker_connections 768; }
http {
  upstream app { server 10.0.0.1:3000; server 10.0.0.2:3000; keepalive 8; }
  limit_req_zone $binary_remote_addr zone=each:10m rate=10r/s;
  map $http_upgrade $connection_upgrade { default upgrade; '' close; }
  client_max_body_size 2m;
  server {
    listen 8080; server_name chat.example *.chat.example;
    add_header X-Frame-Options DENY; # a comment; with { marks }
    location /ws/ {
      limit_req zone=each burst=20;
      proxy_pass http://app;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout 1h; proxy_connect_timeout 500ms;
    }
    location /api/ { proxy_pass http://app/v1/; auth_basic "x"; }
    location ~ \\.php$ { fastcgi_pass unix:/x; }
    location / { root /srv/www; }
  }
}
`;

describe('import of nginx', () => {
  it('takes over locations that pass requests on, with what holds in them', () => {
    const { routes } = read(usual);
    assert.deepEqual(
      routes.map(({ route, webSockets }) => [route.id, route.path, route.hosts, webSockets]),
      [
        ['api', '/api/', ['chat.example', '*.chat.example'], false],
        ['ws', '/ws/', ['chat.example', '*.chat.example'], true],
      ].toSorted((a, b) => String(b[1]).length - String(a[1]).length),
    );
    const { route } = routes.find(({ webSockets }) => webSockets) ?? assert.fail();
    const { backend, limits, bodyBytes, connectMs, readMs, auth, stripPath } = route;
    assert.deepEqual(
      { backend: backend.href, limits, bodyBytes, connectMs, readMs, auth, stripPath },
      {
        backend: 'http://10.0.0.1:3000/',
        limits: [{ count: 10, windowSeconds: 1, by: 'address' }],
        bodyBytes: 2_097_152,
        connectMs: 500,
        readMs: 3_600_000,
        auth: { kind: 'none' },
        stripPath: false,
      },
    );
  });

  it('tells with file and line what is not taken over', () => {
    assert.deepEqual(told(read(usual)).toSorted(), [
      'nginx.conf:10: "add_header" stays with nginx, and is not taken over',
      'nginx.conf:12: lets 21 through at once; the limit is 10 in 1 s',
      'nginx.conf:13: has 2 servers behind; the route names the first',
      'nginx.conf:18: "auth_basic" stays with nginx, and is not taken over',
      'nginx.conf:18: has 2 servers behind; the route names the first',
      'nginx.conf:19: fits by the expression "\\\\.php$", which routes do not know; left out',
      'nginx.conf:20: "root" stays with nginx, and is not taken over',
      'nginx.conf:20: serves files, or nothing; left out',
    ]);
  });

  it('understands what `proxy_pass` does to the path', () => {
    const paths = (location: string, pass: string): readonly [string, boolean] => {
      const { backend, stripPath } = only(`server { location ${location} { proxy_pass ${pass}; } }`);
      return [backend.href, stripPath];
    };
    assert.deepEqual(paths('/a/', 'http://h:1'), ['http://h:1/', false]);
    assert.deepEqual(paths('/a/', 'http://h:1/'), ['http://h:1/', true]);
    assert.deepEqual(paths('/a/', 'http://h:1/b/'), ['http://h:1/b', true]);
    assert.deepEqual(paths('/a/', 'http://h:1/b/a/'), ['http://h:1/b', false]);
    assert.deepEqual(paths('/a/', 'http://h:1/a/'), ['http://h:1/', false]);
    assert.deepEqual(paths('/', 'https://h/b'), ['https://h/b', false]);
  });

  it('finds keys of callers, and never says one', () => {
    const model = read(`map $http_x_api_key $who { default ""; "secret-1" alice; "~^secret.*" many; "secret-2" "not a name"; }
      server { location / { if ($who = "") { return 401; } proxy_set_header X-Api-Key ""; proxy_pass http://h; } }`);
    assert.deepEqual(model.routes[0]?.route.auth, { kind: 'key', place: { in: 'header', name: 'x-api-key' }, hidden: true });
    assert.deepEqual(model.callers, [{ name: 'alice', key: 'secret-1' }]);
    assert.equal(model.remarks.length, 2);
    assert.ok(!JSON.stringify(model.remarks).includes('secret'));
  });

  it('puts included files in their places, and names those that were not given', () => {
    const files = [
      { name: 'nginx.conf', text: 'http { include /etc/nginx/mime.types; include conf.d/*.conf; include missing; }' },
      { name: 'chat.conf', text: 'server {\n location /chat {\n include proxy.inc; }\n}' },
      { name: 'proxy.inc', text: 'proxy_pass http://h:1;\nfancy on;' },
    ];
    const model = read(files);
    assert.deepEqual(
      model.routes.map(({ route }) => route.path),
      ['/chat'],
    );
    assert.deepEqual(told(model), [
      'nginx.conf:1: includes "missing", which was not given',
      'proxy.inc:2: "fancy" stays with nginx, and is not taken over',
    ]);
  });

  it('ends with files that include themselves, are nested deeply, or are cut off', () => {
    const circle = { name: 'a.conf', text: 'include a.conf; include a.conf; server { location / { proxy_pass http://h; } }' };
    assert.ok(told(read([circle])).some((line) => line.includes('in a circle')));
    assert.ok(told(read('a {'.repeat(10_000))).some((line) => line.includes('too deeply')));
    assert.ok(told(read('server { location / { proxy_pass "http://h; } }')).some((line) => line.endsWith('from here on')));
    assert.ok(
      told(read('}\nserver { location / { proxy_pass http://h; } }')).some((line) => line.includes('block that is none')),
    );
  });

  it('takes a server whose names it cannot say for no server of any host', () => {
    const { routes, remarks } = read('server { server_name ~^www\\d+; location / { proxy_pass http://h; } }');
    assert.equal(routes.length, 0);
    assert.match(remarks[0]?.text ?? '', /is not taken over/);
  });

  it('never throws, whatever stands in the files', () => {
    const pieces = [
      'server',
      'location',
      '/a',
      'proxy_pass',
      'http://h',
      'http://[',
      'http://$x',
      'if',
      '($a',
      '=',
      '"")',
      'return',
      '401',
    ];
    const marks = [
      '{',
      '}',
      ';',
      '"',
      "'",
      '\\',
      '#',
      '\n',
      ' ',
      '${',
      'map',
      '$a',
      'limit_req_zone',
      'zone=a:1m',
      'rate=1r/s',
      'include',
      'x',
    ];
    const soup = fc.array(fc.constantFrom(...pieces, ...marks), { maxLength: 60 }).map((all) => all.join(' '));
    fc.assert(
      fc.property(fc.oneof(soup, fc.string()), (text) => {
        read(text);
      }),
      { numRuns: 2000 },
    );
  });

  it('gives a configuration that Foregate loads', async () => {
    const model = read(usual);
    const text = writeImported(model, ['nginx.conf'], { adapter: 'nginx', credentialHeader: undefined, withSecrets: false });
    const { settings } = await loadText(text);
    assert.deepEqual(
      settings.routes.map(({ id }) => id),
      ['ws', 'ws-2', 'api', 'api-2'],
    );
  });
});

/** With the prototype that all values here have. */
const ordinary = { noNullPrototype: true };

describe('import of what was exported for nginx', () => {
  const exporter = exporters.find(({ name }) => name === 'nginx') ?? assert.fail('There is no exporter nginx.');

  const auths: fc.Arbitrary<GatewayRoute['auth']> = fc.oneof(
    fc.constant({ kind: 'none' as const }),
    fc.record(
      {
        kind: fc.constant('key' as const),
        hidden: fc.boolean(),
        place: fc.constantFrom({ in: 'header' as const, name: 'x-api-key' }, { in: 'query' as const, name: 'apikey' }),
      },
      ordinary,
    ),
  );
  const route: fc.Arbitrary<GatewayRoute> = fc.record(
    {
      id: fc.constant('chat'),
      gateway: fc.constant(gateway),
      hosts: fc.constant([]),
      path: fc.constantFrom('/chat', '/a;b"c\'d', '/'),
      eventsOnly: fc.boolean(),
      backend: fc.constantFrom(new URL('http://127.0.0.1:9000'), new URL('https://b.example/base')),
      stripPath: fc.boolean(),
      auth: auths,
      limits: fc.constantFrom(
        [],
        [{ count: 5, windowSeconds: 60, by: 'address' as const }],
        [{ count: 7, windowSeconds: 1, by: 'route' as const }],
      ),
      bodyBytes: fc.integer({ min: 1024, max: 9_000_000 }),
      connectMs: fc.integer({ min: 1, max: 90_000 }),
      readMs: fc.integer({ min: 1, max: 90_000 }),
    },
    ordinary,
  );
  const callers = fc.uniqueArray(
    fc.record({ name: fc.stringMatching(/^[a-z]{1,8}$/), key: fc.stringMatching(/^[\x24-\x7e]{1,20}$/) }, ordinary),
    {
      maxLength: 3,
      comparator: (a, b) => a.name === b.name || a.key === b.key,
    },
  );

  it('gives the same routes and callers', () => {
    fc.assert(
      fc.property(route, callers, (one, known) => {
        const model: GatewayModel = {
          routes: [one],
          callers: known.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
          trusted: ['127.0.0.1'],
        };
        const { files } = exporter.write(model);
        const back = read(files.map(({ name, content }) => ({ name, text: String(content) })));
        const [found] = back.routes;
        assert.deepEqual(told(back), []);
        assert.deepEqual(
          { ...found?.route, id: one.id, backend: found?.route.backend.href },
          { ...one, backend: one.backend.href },
        );
        assert.deepEqual(back.callers, one.auth.kind === 'key' ? model.callers : []);
      }),
      { numRuns: 300 },
    );
  });

  it('leaves keys out of settings unless they are asked for', () => {
    const model = read(
      'map $http_k $who { "secret-1" alice; } server { location / { if ($who = "") { return 401; } proxy_pass http://h; } }',
    );
    const settings = (withSecrets: boolean): string =>
      JSON.stringify(importedSettings(model, { adapter: 'nginx', credentialHeader: undefined, withSecrets }));
    assert.ok(!settings(false).includes('secret-1'));
    assert.ok(settings(true).includes('secret-1'));
  });
});
