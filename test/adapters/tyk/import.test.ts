/** What is read of definitions of Tyk in both forms, and what is told. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { Exporter, GatewayRoute, ImportedModel } from '../../../adapters/conversion/gateway-route.ts';
import { tykClassicExporter, tykExporter } from '../../../adapters/tyk/export.ts';
import { tykImporter } from '../../../adapters/tyk/import.ts';
import { gateway, modelOf, refusals } from '../conversion/gateway-routes.ts';
import { tykRoutes } from './tyk-routes.ts';

function read(...texts: readonly string[]): ImportedModel {
  return tykImporter.read(
    texts.map((text, index) => ({ name: index === 0 ? 'chat.json' : `${index}.json`, text })),
    gateway,
  );
}

function toldOf(...texts: readonly string[]): string {
  return read(...texts)
    .remarks.map(({ about, text }) => `${about}: ${text}`)
    .join('\n');
}

function givesBack(exporter: Exporter, routes: readonly GatewayRoute[]): void {
  const { files, remarks } = exporter.write(modelOf(routes));
  assert.deepEqual(refusals(remarks), []);
  const back = read(...files.map(({ content }) => String(content)));
  assert.deepEqual(
    back.routes.map(({ route }) => route).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    routes,
  );
  assert.deepEqual(back.remarks, []);
}

const classic = (more: string): string => `{
  "name": "chat", "api_id": "chat", "org_id": "default", "active": true, "use_keyless": false, "use_standard_auth": true,
  "auth": { "auth_header_name": "Authorization", "use_param": false, "cookie_name": "" },
  "definition": { "location": "header", "key": "version" },
  "version_data": { "not_versioned": true, "versions": { "Default": { "name": "Default", "use_extended_paths": true, "extended_paths": {} } } },
  "proxy": { "listen_path": "/chat/", "target_url": "http://127.0.0.1:9000/chat/", "strip_listen_path": true, "preserve_host_header": true, "enable_load_balancing": false },
  "use_oauth2": false, "CORS": { "enable": false, "max_age": 0 }, "uptime_tests": { "check_list": [] }, "enable_jwt": false
  ${more}
}`;

const oas = (extension: string): string => `{
  "openapi": "3.0.3", "info": { "title": "chat", "version": "1" },
  "paths": { "/{room}": { "post": { "operationId": "events", "requestBody": { "content": { "application/websocket-events": {} } } },
    "get": { "operationId": "page" } } },
  "x-tyk-api-gateway": { "info": { "name": "chat", "state": { "active": true } },
    "upstream": { "url": "http://127.0.0.1:9000" },
    "server": { "listenPath": { "value": "/chat" } }
    ${extension} } }`;

describe('the import from Tyk', () => {
  it('gives back what was exported as OAS definitions', () => {
    fc.assert(fc.property(tykRoutes('oas'), (routes) => givesBack(tykExporter, routes)));
  });

  it('gives back what was exported as classic definitions', () => {
    fc.assert(fc.property(tykRoutes('classic'), (routes) => givesBack(tykClassicExporter, routes)));
  });

  it('takes no notice of what is off in a classic definition', () => {
    const { routes, remarks } = read(classic(''));
    assert.deepEqual(
      routes.map(({ route: { id, path, stripPath, backend, auth, bodyBytes } }) => [
        id,
        path,
        stripPath,
        backend.href,
        auth.kind,
        bodyBytes,
      ]),
      [['chat', '/chat/', true, 'http://127.0.0.1:9000/chat', 'key', Number.POSITIVE_INFINITY]],
    );
    assert.deepEqual(
      remarks.map(({ text }) => text),
      ['chat.json:6: Tyk answers /chat, too; the route here does not'],
    );
  });

  it('tells each thing that it does not take over of a classic definition, with its line', () => {
    const told = toldOf(classic(`,\n"CORS2": { "enable": true },\n"response_processors": [{ "name": "header_injector" }]`));
    assert.match(told, /^chat: chat\.json:9: "CORS2" is not taken over$/m);
    assert.match(told, /^chat: chat\.json:10: "response_processors" is not taken over$/m);
    assert.match(
      toldOf(classic('').replace('"extended_paths": {}', '"extended_paths": { "ignored": [{ "path": "/x" }] }')),
      /"ignored" is not/,
    );
  });

  it('lets nobody in where it does not know how Tyk checks', () => {
    const basic = classic(`, "use_basic_auth": true`).replace('"use_standard_auth": true', '"use_standard_auth": false');
    assert.equal(read(basic).routes[0]?.route.auth.kind, 'key');
    assert.match(toldOf(basic), /checks credentials by use_basic_auth; "auth: key" stands here/);
    const hmac = oas('').replace('"/chat" }', '"/chat" }, "authentication": { "enabled": true, "hmac": { "enabled": true } }');
    assert.equal(read(hmac).routes[0]?.route.auth.kind, 'key');
    assert.match(toldOf(hmac), /"hmac" is not taken over/);
  });

  it('knows events by the operation that is allowed', () => {
    const allow = (name: string): string => `, "middleware": { "operations": { "${name}": { "allow": { "enabled": true } } } }`;
    assert.equal(read(oas(allow('events'))).routes[0]?.route.eventsOnly, true);
    assert.equal(read(oas(allow('page'))).routes[0]?.route.eventsOnly, false);
    assert.match(toldOf(oas(allow('page'))), /which methods and paths are allowed is left to the gateway/);
  });

  it('tells what it does not take over of an OAS definition', () => {
    const told = toldOf(
      oas(`, "middleware": {
      "global": { "cors": { "enabled": true } },
      "operations": { "page": { "mockResponse": { "enabled": true } } } }`),
    );
    assert.match(told, /^chat: chat\.json:9: "cors" is not taken over$/m);
    assert.match(told, /^chat: chat\.json:10: "mockResponse" is not taken over$/m);
  });

  it('knows from tyk.conf whether WebSockets passed', () => {
    const conf = (value: boolean): string => `{ "listen_port": 8080, "http_server_options": { "enable_websockets": ${value} } }`;
    assert.equal(read(classic(''), conf(true)).routes[0]?.webSockets, true);
    assert.equal(read(classic(''), conf(false)).routes[0]?.webSockets, false);
    assert.equal(read(classic('')).routes[0]?.webSockets, false);
  });

  it('says of files and APIs why they are left out', () => {
    assert.match(toldOf('{ "a": 1 }'), /^chat\.json: chat\.json:1: is no definition of an API/);
    assert.match(toldOf('{'), /^chat\.json: is not valid YAML or JSON/);
    assert.match(toldOf(classic('').replace('"active": true', '"active": false')), /is switched off; the API is left out/);
    assert.match(toldOf(classic(', "protocol": "tcp"')), /speaks tcp; the API is left out/);
    assert.match(toldOf(classic('').replace('http://127.0.0.1:9000/chat/', 'consul://x')), /leads to no HTTP address/);
    assert.match(toldOf('{ "x-tyk-api-gateway": 7 }'), /should be a mapping/);
  });

  it('never throws, whatever stands in the file', () => {
    const some = fc.oneof(
      fc.json(),
      fc.json().map((json) => classic(`, "domain": ${json}, "jwt_source": ${json}, "global_rate_limit": ${json}`)),
      fc.json().map((json) => oas(`, "middleware": { "operations": { "page": ${json} }, "global": ${json} }`)),
    );
    fc.assert(fc.property(some, (text) => void read(text)));
  });
});
