/** What the doctor finds out about gateways without any help of their backends, and how little it asks for that. */
import { deepEqual, doesNotMatch, equal, match, ok, rejects } from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { requestsMax } from '../../gateway/doctor/asker.ts';
import { serverCertificate, serverKey } from '../downstream/certificates.ts';
import { freePort } from '../support/processes.ts';
import { about, detailOf, examined } from './examined.ts';
import { bare, startRawGateway, type RawAnswer, type RawGateway } from './raw-gateway.ts';

const secret = 'sesame-open-4711';

describe('the doctor', () => {
  const gateways: RawGateway[] = [];

  afterEach(async () => {
    for (const gateway of gateways.splice(0)) await gateway.stop();
  });

  async function gatewayOf(answer: RawAnswer): Promise<RawGateway> {
    const gateway = await startRawGateway(answer);
    gateways.push(gateway);
    return gateway;
  }

  function route({ origin }: { readonly origin: string }, more = ''): string {
    return `routes:\n  - id: chat\n    match: { path: /chat }\n    target: ${origin}\n${more}`;
  }

  it('names the gateway and its version, and the line for another adapter', async () => {
    const kong = await gatewayOf(() => bare(404, 'Via: kong/3.4.2\r\nServer: nginx/1.25.0\r\n'));
    deepEqual(about(await examined(route(kong)), 'gateway'), [
      'warning',
      'foregate.yaml:2:5  routes[0].adapter is generic by default; write "adapter: kong"',
    ]);
    const right = await examined(route(kong, '    adapter: kong\n'));
    deepEqual(about(right, 'gateway'), ['ok']);
    equal(detailOf(right, 'gateway'), 'Kong Gateway 3.4.2, by its field Via.');
    deepEqual(about(await examined(route(kong, '    adapter: { use: tyk }\n')), 'gateway'), [
      'clash',
      'foregate.yaml:5:21  routes[0].adapter.use is tyk; write "use: kong"',
    ]);
  });

  it('says who it is by the way it refuses, and that it is nobody known', async () => {
    const body = '{"fault":{"faultstring":"x","detail":{"errorcode":"oauth.v2.InvalidApiKey"}}}';
    const text = `HTTP/1.1 401 X\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const apigee = await gatewayOf(() => text);
    equal(detailOf(await examined(route(apigee, '    adapter: apigee\n')), 'gateway'), 'Apigee, by the way it refuses.');
    const nobody = await gatewayOf(() => bare(404));
    deepEqual(about(await examined(route(nobody)), 'gateway'), ['note']);
  });

  it('tells a place that cannot be reached or does not answer, and asks nothing else', async () => {
    const [report] = await examined(route({ origin: `http://127.0.0.1:${await freePort()}` }));
    deepEqual([report?.requests, report?.findings.map(({ level, about: matter }) => [level, matter])], [1, [['clash', 'reach']]]);
    const silent = await gatewayOf(({ socket }) => void socket.destroy());
    match(detailOf(await examined(route(silent)), 'reach'), /takes the connection and does not answer/);
    equal(silent.requests.length, 1);
  });

  it('checks a certificate as the route would', async () => {
    const server = createServer({ cert: serverCertificate, key: serverKey }, (_, response) => response.writeHead(404).end());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo; // A TCP server has no other kind of address.
    const text = (tls: string) => `routes:\n  - id: a\n    target: { url: "https://127.0.0.1:${port}", tls: ${tls} }\n`;
    try {
      const reports = await examined(text('{}'));
      match(detailOf(reports, 'reach'), /^It cannot be reached: self-signed certificate/);
      deepEqual(about(await examined(text(JSON.stringify({ ca: serverCertificate }))), 'answer'), ['ok']);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  it('tells an idle time below ours, by when the connection is really closed', async () => {
    for (const end of ['destroy', 'resetAndDestroy'] as const) {
      const hasty = await gatewayOf(({ socket }) => {
        setTimeout(() => socket[end](), 1000).unref();
        return bare(404, 'Keep-Alive: timeout=60\r\n');
      });
      const reports = await examined(route(hasty, '    adapter: nginx\n'), { idleWaitMs: 5000 });
      const [level, word, line] = about(reports, 'idle').map(String);
      deepEqual([level, word], ['clash', 'keepalive_timeout'], end);
      match(
        line ?? '',
        /^foregate\.yaml:4:13 {2}routes\[0\]\.target\.idle is 4s by default; write "target: \{ url: "http:.*", idle: \d+m?s \}"$/,
      );
    }
  });

  it('does not take a hint for an idle time', async () => {
    const lasting = await gatewayOf(() => bare(404, 'Keep-Alive: timeout=1\r\n'));
    const target = route(lasting).replace(lasting.origin, `{ url: "${lasting.origin}", idle: 1s }`);
    deepEqual(about(await examined(target, { idleWaitMs: 1500 }), 'idle'), ['ok']);
    deepEqual(about(await examined(route(lasting), { idleWaitMs: 100 }), 'idle'), ['note']);
    const closing = await gatewayOf(() => bare(404, 'Connection: close\r\n'));
    deepEqual(about(await examined(route(closing)), 'idle'), ['warning']);
  });

  it('finds a limit of the head by doubling', async () => {
    const strict = await gatewayOf(({ head }) => bare(head.length > 4096 ? 431 : 404));
    deepEqual(about(await examined(route(strict, '    adapter: nginx\n')), 'header'), [
      'warning',
      'large_client_header_buffers',
      'foregate.yaml:1:1  limits.headerBytes is 16384 by default; write "limits: { headerBytes: 4096 }"',
    ]);
    const heads = strict.requests.map(({ head }) => head.length).filter((length) => length > 1024);
    deepEqual(heads, [2048, 4096, 8192, 6144, 5120, 4608]);
    const lenient = await gatewayOf(() => bare(404));
    deepEqual(about(await examined(route(lenient)), 'header'), ['ok']);
  });

  it('finds a limit of the body, whatever it is told with', async () => {
    for (const refuse of [
      (): string => bare(413),
      (): string => bare(502),
      ({ socket }: { socket: { destroy(): unknown } }): undefined => void socket.destroy(),
    ]) {
      const strict = await gatewayOf((request) => (request.body.length > 100_000 ? refuse(request) : bare(404)));
      const [level, ...lines] = about(await examined(route(strict)), 'body').map(String);
      equal(level, 'clash');
      equal(lines.length, 2);
      const bytes = Number(/messageBytes: (\d+)/.exec(lines[1] ?? '')?.[1]);
      ok(bytes > 40_000 && bytes < 50_000, `${bytes}`);
    }
    const lenient = await gatewayOf(() => bare(404));
    deepEqual(about(await examined(route(lenient)), 'body'), ['ok']);
    const largest = Math.max(...lenient.requests.map(({ body }) => body.length));
    ok(largest > 399_999, `${largest}`);
  });

  it('tells whether a credential is taken, refused, not needed or missing, and never shows it', async () => {
    const keeper = await gatewayOf(({ head }) => bare(head.includes(`apikey: ${secret}`) ? 404 : 401));
    const text = route(keeper, '    adapter: { use: kong, from: { query: key } }\n');
    const taken = await examined(text, { credential: { value: secret } });
    deepEqual(about(taken, 'credentials'), ['ok']);
    deepEqual(about(await examined(text, { credential: { value: `${secret}x` } }), 'credentials'), ['ok']);
    const wrong = await examined(text, { credential: { value: `no-${secret}` } });
    deepEqual(about(wrong, 'credentials'), ['clash']);
    deepEqual(about(await examined(text), 'credentials'), ['note']);
    const own = await examined(route(keeper, `    adapter: { use: kong, credentials: replace, secret: no-${secret} }\n`));
    deepEqual(about(own, 'credentials'), [
      'clash',
      'foregate.yaml:5:57  routes[0].adapter.secret is set, and not shown here; write "secret: ${GATEWAY_KEY}"',
    ]);
    doesNotMatch(JSON.stringify([taken, wrong, own]), new RegExp(secret));
    const open = await gatewayOf(() => bare(404));
    deepEqual(about(await examined(route(open)), 'credentials'), ['ok']);
  });

  it('warns of a success without meaning, a redirect and a route that is not there', async () => {
    for (const [status, level] of [
      [200, 'warning'],
      [301, 'warning'],
      [503, 'warning'],
      [404, 'ok'],
    ] as const) {
      const gateway = await gatewayOf(() => bare(status));
      deepEqual(about(await examined(route(gateway)), 'answer'), [level], `${status}`);
    }
    const body = '{"message":"no Route matched with those values"}';
    const kong = await gatewayOf(
      () =>
        `HTTP/1.1 404 X\r\nServer: kong/3.4.2\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    deepEqual(about(await examined(route(kong, '    adapter: kong\n')), 'answer'), ['warning']);
  });

  it('asks at a path of its own, under its own name, for nothing but pings, and of no policy', async () => {
    const gateway = await gatewayOf(() => bare(404));
    await examined(route(gateway, '    policies: [{ use: jwt, secret: 0123456789abcdef0123456789abcdef }]\n'));
    ok(gateway.requests.length > 3);
    for (const { head, body } of gateway.requests) {
      match(head, /^POST \/chat\/\.foregate-doctor HTTP\/1\.1\r\n/);
      match(head, /\r\nUser-Agent: foregate-doctor\/1\.2\.3\r\n/);
      match(body.toString().replaceAll(/[a-z -]{16,}/g, ''), /^(?:PING [0-9a-f]+\r\n[a-z -]*\r\n)*$/);
    }
  });

  it('makes no more requests than it says, also where everything is refused', async () => {
    const odd = await gatewayOf(({ head, body }) => bare(head.length > 1500 || body.length > 100 ? 413 : 404));
    const [report] = await examined(route(odd));
    equal(report?.requests, odd.requests.length);
    ok(odd.requests.length <= requestsMax, `${odd.requests.length}`);
  });

  it('asks nothing more of a gateway whose limit is used up', async () => {
    const busy = await gatewayOf(() => bare(429));
    deepEqual(about(await examined(route(busy)), 'answer'), ['note']);
    equal(busy.requests.length, 1);
    let asked = 0;
    const soon = await gatewayOf(() => bare((asked += 1) > 3 ? 429 : 404));
    const reports = await examined(route(soon));
    match(detailOf(reports, 'header'), /^Not looked at: a limit of the gateway is used up\.$/);
  });

  it('stops when its time is up, and says what was not looked at', async () => {
    let answered = 0;
    const slow = await gatewayOf(() => ((answered += 1) > 2 ? undefined : bare(404)));
    const reports = await examined(route(slow), { timeoutMs: 1000 });
    match(detailOf(reports, 'body'), /^Not looked at: the time was up\.$/);
    const waiting = await examined(route(await gatewayOf(() => bare(404))), { idleWaitMs: 9000, timeoutMs: 1000 });
    match(detailOf(waiting, 'idle'), /^Not looked at: the time was up\.$/);
  });

  it('looks at one route, or at all of them, and knows where there is nothing to ask', async () => {
    const gateway = await gatewayOf(() => bare(404));
    const text = `${route(gateway)}  - id: relayed\n    match: { path: /r }\n    target: ws://127.0.0.1:1\n  - id: test\n    target: builtin:test\n`;
    deepEqual(
      (await examined(text)).map(({ route: id, requests }) => [id, requests > 0]),
      [
        ['chat', true],
        ['relayed', false],
        ['test', false],
      ],
    );
    deepEqual((await examined(text, { route: 'test' })).length, 1);
    await rejects(examined(text, { route: 'none' }), /There is no route "none"/);
  });
});
