/** GRIP 8.2 and RFC 8586: the rules of `forwarded` and `cdnLoop`, as a backend sees them for events, plain requests and relays. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { serverCertificate, serverKey } from '../downstream/certificates.ts';
import { header } from '../../gateway/core/headers.ts';
import { refusedClient } from '../support/client.ts';
import { requestText, takeAnswer } from './holds.ts';
import { clearStage, onClear, setStage, type Stage } from './stage.ts';

afterEach(clearStage);

const field = /^(x.forwarded|forwarded|x-real-ip|cdn.loop)/i;

/** Forwarding fields of a raw header list, in their order. */
function told(rawHeaders: readonly string[]): string[] {
  return rawHeaders.flatMap((name, i) => (i % 2 === 0 && field.test(name) ? [`${name}: ${rawHeaders[i + 1]}`] : []));
}

/** What the backend is told of a plain request with these fields. */
async function plain({ backend, connect }: Stage, ...headers: readonly string[]): Promise<string[]> {
  const before = backend.requests.length;
  backend.answer = () => ({ body: 'plain' });
  const socket = await connect();
  socket.send(requestText('/', { headers }));
  assert.equal((await takeAnswer(socket)).status, 200);
  return told(backend.requests[before]?.rawHeaders ?? []);
}

describe('forwarded.for (GRIP 8.2)', () => {
  const came = ['X-Forwarded-For: 1.1.1.1, 2.2.2.2', 'x-forwarded-for: 3.3.3.3'];
  const cases: readonly (readonly [rule: object, seen: string | undefined])[] = [
    [{ append: false }, '1.1.1.1, 2.2.2.2, 3.3.3.3'],
    [{}, '1.1.1.1, 2.2.2.2, 3.3.3.3, 127.0.0.1'],
    [{ keep: 2 }, '2.2.2.2, 3.3.3.3, 127.0.0.1'],
    [{ keep: 2, append: false }, '2.2.2.2, 3.3.3.3'],
    [{ keep: 9 }, '1.1.1.1, 2.2.2.2, 3.3.3.3, 127.0.0.1'],
    [{ keep: 0 }, '127.0.0.1'],
    [{ keep: 0, append: false }, undefined],
  ];
  for (const [rule, seen] of cases) {
    it(`keeps and appends what it says: ${JSON.stringify(rule)}`, async () => {
      const stage = await setStage({ settings: { forwarded: { for: rule } } });
      const chains = (await plain(stage, ...came)).filter((line) => /for:/i.test(line));
      assert.deepEqual(chains, seen === undefined ? [] : [`X-Forwarded-For: ${seen}`]);
    });
  }

  it('makes no field of nothing', async () => {
    const stage = await setStage({ settings: { forwarded: { for: { append: false } } } });
    assert.ok(!(await plain(stage)).some((line) => /for:/i.test(line)));
    assert.ok(!(await plain(stage, 'X-Forwarded-For: , ,')).some((line) => /for:/i.test(line)));
  });

  it('appends once for each session of events, whatever its requests', async () => {
    const { backend, open } = await setStage({ settings: { forwarded: { for: {} } } });
    const client = await open('/', { headers: { 'X-Forwarded-For': '1.1.1.1' } });
    client.send('x');
    await client.next();
    for (const { headers } of backend.requests) assert.equal(headers['x-forwarded-for'], '1.1.1.1, 127.0.0.1');
  });

  it('believes those that trustedProxies names, and then nobody else', async () => {
    const forwarded = { for: { keep: 1 } };
    const ours = await setStage({ settings: { forwarded, trustedProxies: ['127.0.0.1'] } });
    assert.equal((await plain(ours, ...came))[0], 'X-Forwarded-For: 3.3.3.3, 127.0.0.1');
    const others = await setStage({ settings: { forwarded, trustedProxies: ['10.0.0.0/8'] } });
    assert.equal((await plain(others, ...came))[0], 'X-Forwarded-For: 127.0.0.1');
  });

  it('leaves the usual where it says nothing', async () => {
    const stage = await setStage({ settings: { forwarded: {} } });
    assert.deepEqual(await plain(stage, ...came, 'Forwarded: for=1.1.1.1'), [
      'X-Forwarded-For: 127.0.0.1',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Host: client.example',
      'X-Forwarded-Port: 80',
    ]);
  });
});

describe('forwarded.others', () => {
  const came = ['X-Forwarded-Host: h', 'Forwarded: for=9', 'X-Real-IP: r', 'X-Forwarded-Port: 99', 'X-Forwarded-For: 1.1.1.1'];

  it('passes what came, and writes nothing', async () => {
    const stage = await setStage({ settings: { forwarded: { for: { append: false }, proto: 'none', others: 'pass' } } });
    assert.deepEqual(await plain(stage, ...came), [
      'X-Forwarded-For: 1.1.1.1',
      'X-Forwarded-Host: h',
      'Forwarded: for=9',
      'X-Real-IP: r',
      'X-Forwarded-Port: 99',
    ]);
    assert.deepEqual(await plain(stage), []);
  });

  it('passes nothing of those who are not believed', async () => {
    const stage = await setStage({ settings: { forwarded: { others: 'pass' }, trustedProxies: ['10.0.0.0/8'] } });
    assert.deepEqual(await plain(stage, ...came, 'X-Forwarded-Proto: https'), ['X-Forwarded-For: 127.0.0.1']);
  });
});

describe('forwarded.acceptProto (GRIP 8.2)', () => {
  const routes = (stage: Stage, more: object) =>
    setStage({
      settings: { forwarded: { acceptProto: true }, ...more },
      route: { match: { tls: true } },
      targets: [{ url: stage.backend.origin }],
    });
  const status = async (port: Stage, ...headers: readonly string[]): Promise<number> => {
    const socket = await port.connect();
    socket.send(requestText('/', { headers }));
    return (await takeAnswer(socket)).status;
  };

  it('makes a request one over TLS, for routes and for the backend', async () => {
    const stage = await setStage({ answer: () => ({ body: 'plain' }) });
    const front = await routes(stage, {});
    for (const said of ['X-Forwarded-Proto: https', 'x-forwarded-protocol: https', 'X-Forwarded-Proto: wss'])
      assert.equal(await status(front, said), 200, said);
    for (const { headers } of stage.backend.requests) assert.equal(headers['x-forwarded-proto'], 'https');
    for (const said of ['X-Forwarded-Proto: http', 'X-Forwarded-Proto: http, https', 'X-Forwarded-Proto: HTTPS', 'X-A: https'])
      assert.equal(await status(front, said), 404, said);
  });

  it('holds for WebSockets', async () => {
    const stage = await setStage();
    const front = await routes(stage, {});
    assert.equal((await refusedClient(front.url.replace('http', 'ws'))).status, 404);
    const client = await front.open('/', { headers: { 'X-Forwarded-Proto': 'wss' } });
    client.send('x');
    assert.equal(await client.nextText(), 'x');
  });

  it('believes those that trustedProxies names, and then nobody else', async () => {
    const stage = await setStage({ answer: () => ({ body: 'plain' }) });
    assert.equal(await status(await routes(stage, { trustedProxies: ['127.0.0.1'] }), 'X-Forwarded-Proto: https'), 200);
    assert.equal(await status(await routes(stage, { trustedProxies: ['10.0.0.0/8'] }), 'X-Forwarded-Proto: https'), 404);
  });

  it('believes nobody unless it is on', async () => {
    const stage = await setStage({ answer: () => ({ body: 'plain' }) });
    const front = await routes(stage, { forwarded: { others: 'pass' } });
    assert.equal(await status(front, 'X-Forwarded-Proto: https'), 404);
  });
});

describe('forwarded.proto (GRIP 8.2)', () => {
  const listen = [{ host: '127.0.0.1', port: 0, tls: { cert: serverCertificate, key: serverKey } }];
  const protos = (headers: IncomingMessage['headers']) => [headers['x-forwarded-proto'], headers['x-forwarded-protocol']];

  for (const [proto, ofSocket, ofPlain] of [
    ['both', ['wss', 'wss'], ['https', 'https']],
    ['x-forwarded-proto', ['wss', undefined], ['https', undefined]],
    ['none', [undefined, undefined], [undefined, undefined]],
  ] as const) {
    it(`tells of TLS in the fields that it names: ${proto}`, async () => {
      const { backend, url, open } = await setStage({ settings: { listen, forwarded: { proto } } });
      await open('/', { rejectUnauthorized: false });
      assert.deepEqual(protos(backend.requests[0]?.headers ?? {}), ofSocket);
      backend.answer = () => ({ body: 'plain' });
      await fetchInsecure(url);
      assert.deepEqual(protos(backend.requests.at(-1)?.headers ?? {}), ofPlain);
    });

    it(`removes what came, and says nothing without TLS: ${proto}`, async () => {
      const stage = await setStage({ settings: { forwarded: { proto }, trustedProxies: ['127.0.0.1'] } });
      const lines = await plain(stage, 'X-Forwarded-Proto: http', 'X-Forwarded-Protocol: http', 'X_Forwarded_Proto: https');
      assert.ok(!lines.some((line) => /proto/i.test(line)), lines.join());
    });
  }

  it('says wss to a relayed backend', async () => {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    onClear(() => {
      for (const client of server.clients) client.terminate();
      server.close();
    });
    const handshake = once(server, 'connection') as Promise<[unknown, IncomingMessage]>; // As `ws` documents it.
    const { open } = await setStage({
      settings: { forwarded: { proto: 'both', acceptProto: true } },
      targets: [{ url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}` }], // A TCP server has no other kind of address.
    });
    await open('/', { headers: { 'X-Forwarded-Proto': 'https' } });
    const [, { headers }] = await handshake;
    assert.deepEqual(protos(headers), ['wss', 'wss']);
  });
});

async function fetchInsecure(url: string): Promise<void> {
  const { request } = await import('node:https');
  const [response] = (await once(request(url, { rejectUnauthorized: false, agent: false }).end(), 'response')) as [
    IncomingMessage,
  ]; // As Node documents it.
  response.resume();
}

describe('cdnLoop (RFC 8586)', () => {
  const settings = { cdnLoop: { id: 'edge.example' } };

  it('puts the name behind what came', async () => {
    const stage = await setStage({ settings });
    assert.ok((await plain(stage)).includes('CDN-Loop: edge.example'));
    const lines = await plain(stage, 'CDN-Loop: a.example; b="c"', 'cdn-loop: other', 'CDN_Loop: forged');
    assert.deepEqual(
      lines.filter((line) => /loop/i.test(line)),
      ['CDN-Loop: a.example; b="c", other, edge.example'],
    );
  });

  it('is in every request of a session', async () => {
    const { backend, open } = await setStage({ settings });
    const client = await open();
    client.send('x');
    await client.next();
    for (const { headers } of backend.requests) assert.equal(headers['cdn-loop'], 'edge.example');
  });

  it('refuses a request that has been here before', async () => {
    const { backend, url, connect } = await setStage({ settings });
    for (const line of ['CDN-Loop: edge.example', 'CDN-Loop: a, EDGE.example; x=1', 'CDN-Loop: a\r\nCDN-Loop: edge.example']) {
      const socket = await connect();
      socket.send(requestText('/', { headers: [line] }));
      assert.equal((await takeAnswer(socket)).status, 508, line);
    }
    assert.equal((await refusedClient(url.replace('http', 'ws'), { headers: { 'CDN-Loop': 'edge.example' } })).status, 508);
    assert.equal(backend.requests.length, 0);
  });

  it('lets others of the name pass as often as it says', async () => {
    const stage = await setStage({ settings: { cdnLoop: { id: 'edge.example', passes: 2 } } });
    assert.ok((await plain(stage, 'CDN-Loop: edge.example')).includes('CDN-Loop: edge.example, edge.example'));
    const socket = await stage.connect();
    socket.send(requestText('/', { headers: ['CDN-Loop: edge.example, edge.example'] }));
    assert.equal((await takeAnswer(socket)).status, 508);
  });

  it('ends a route that leads back to itself', async () => {
    const inner = await setStage({ settings });
    const outer = await setStage({ settings, targets: [{ url: inner.url }] });
    assert.equal((await fetch(outer.url)).status, 508);
  });

  it('gives way to a route that sets the field', async () => {
    const stage = await setStage({ settings, route: { headers: { 'CDN-Loop': 'mine' } } });
    assert.deepEqual(
      (await plain(stage, 'CDN-Loop: a')).filter((line) => /loop/i.test(line)),
      ['CDN-Loop: mine'],
    );
  });

  it('is in the requests that go on with a hold', async () => {
    const { backend, connect } = await setStage({ settings });
    backend.answer = ({ path }) =>
      path === '/' ? { headers: { 'Grip-Link': '</next>; rel=next' }, body: 'a' } : { headers: {}, body: 'b' };
    const socket = await connect();
    socket.send(requestText('/', { headers: ['CDN-Loop: a'] }));
    await backend.until(() => backend.requests.length === 2);
    assert.equal(header(backend.requests[1]?.rawHeaders ?? [], 'cdn-loop'), 'a, edge.example');
  });
});
