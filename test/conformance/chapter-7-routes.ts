/** Chapter 7: routes. Their lines are in `files.ts`. */
import assert from 'node:assert/strict';
import { appendFile, readFile } from 'node:fs/promises';
import type { Case, Chapter } from './case.ts';
import type { RequestTerms } from './connection.ts';
import { signature } from './files.ts';
import { accepting, held, stream } from './replies.ts';
import type { Stage } from './stage.ts';

/** Each line of the test routes sets this field, so that a case sees which one was chosen. */
const chosen = 'x-route';

/** The route that a plain request takes. */
async function routeOf(stage: Stage, rest: string, terms: RequestTerms): Promise<string | undefined> {
  stage.answer({ body: 'ok' });
  const { status } = await (await stage.send(rest, terms)).answer();
  return status === 200 ? String(stage.requests.at(-1)?.headers[chosen]) : `status ${status}`;
}

/** The route that a WebSocket takes. */
async function routeOfSocket(stage: Stage, rest: string, host: string): Promise<string> {
  stage.answer(accepting());
  await stage.open(rest, { host });
  return String(stage.requests.at(-1)?.headers[chosen]);
}

/** The path has to be at the front for `path_beg`, and the case's name anywhere: so it is in the query. */
async function byPath(stage: Stage, host: string, path: string) {
  stage.answer({ body: 'ok' });
  const client = await stage.connect();
  client.send(`${path}?${stage.path.slice(1)}`, { host });
  const { status } = await client.answer();
  const request = stage.requests.at(-1);
  return { status, route: request?.headers[chosen], path: request?.path.split('?')[0], headers: request?.headers };
}

const selection: Case[] = [
  {
    id: '7.1-host',
    rule: 'a route for the exact host is used, with any port in the request',
    run: async (stage) => {
      assert.equal(await routeOf(stage, '', { host: 'routes.example' }), 'host');
      assert.equal(await routeOf(stage, '', { host: 'routes.example:81' }), 'host');
    },
  },
  {
    id: '7.1-no-wildcards',
    rule: 'there are no suffixes: a host below another goes by *',
    run: async (stage) => {
      assert.equal(await routeOf(stage, '', { host: 'sub.routes.example' }), 'undefined');
    },
  },
  {
    id: '7.1-no-fall-through',
    rule: 'a host with routes of its own never uses those of *: 502',
    run: async (stage) => {
      stage.answer({ body: 'ok' });
      const answer = await (await stage.send('', { host: 'paths.example' })).answer();
      assert.equal(answer.status, 502);
      assert.equal(stage.requests.length, 0);
    },
  },
  {
    id: '7.1-no-route-text',
    rule: 'the body of that answer',
    differs: {
      foregate: 'names what is wrong in its own words',
      pushpin: 'is No route for host (1.36)',
      reason: 'it is for people',
    },
    run: async (stage) => {
      const answer = await (await stage.send('', { host: 'paths.example' })).answer();
      assert.match(answer.body, stage.pick({ foregate: /route/i, pushpin: /^No route for host: paths\.example\n$/ }));
    },
  },
  {
    id: '7.1-path-beg',
    rule: 'path_beg is a plain prefix; the longest wins',
    run: async (stage) => {
      assert.equal((await byPath(stage, 'paths.example', '/a')).route, 'a');
      assert.equal((await byPath(stage, 'paths.example', '/abc')).route, 'ab');
      assert.equal((await byPath(stage, 'paths.example', '/aXb')).route, 'a');
    },
  },
  {
    id: '7.1-proto',
    rule: 'proto: only HTTP or only WebSockets; a route with it beats one without',
    run: async (stage) => {
      assert.equal(await routeOf(stage, '', { host: 'proto.example' }), 'any');
      assert.equal(await routeOfSocket(stage, '', 'proto.example'), 'ws');
    },
  },
  {
    id: '7.1-proto-beats-path',
    rule: 'a route with proto beats a longer path without',
    run: async (stage) => {
      stage.answer(accepting());
      const client = await stage.connect();
      const head = [
        'Upgrade: websocket',
        'Connection: Upgrade',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ];
      client.send(`/long/path?${stage.path.slice(1)}`, { host: 'proto.example', headers: head });
      assert.equal((await client.raw.takeHead(10_000)).status, 101);
      assert.equal(stage.requests[0]?.headers[chosen], 'ws');
    },
  },
  {
    id: '7.1-ssl',
    rule: 'ssl=yes is not for requests without TLS, ssl=no is',
    run: async (stage) => {
      assert.equal(await routeOf(stage, '', { host: 'tls.example' }), 'no');
    },
  },
  {
    id: '7.1-ssl-tls',
    rule: 'a request with TLS goes by ssl=yes',
    files: true,
    run: async (stage) => {
      stage.answer({ body: 'ok' });
      const client = await stage.connectTls('localhost');
      client.send(stage.path, { host: 'tls.example' });
      assert.equal((await client.answer()).status, 200);
      assert.equal(stage.requests[0]?.headers[chosen], 'yes');
    },
  },
  {
    id: '7.1-reload',
    rule: 'a changed routes file is read within a few seconds; what is held goes on',
    files: true,
    alone: true,
    run: async (stage) => {
      const client = await stage.watching();
      const file = stage.file('routes');
      const [first = ''] = (await readFile(file, 'utf8')).split('\n');
      await appendFile(file, `reloaded.example,header=X-Route:reloaded ${first.replace('* ', '')}\n`);
      const deadline = Date.now() + 10_000;
      while ((await routeOf(stage, '/again', { host: 'reloaded.example' })) !== 'reloaded')
        assert.ok(Date.now() < deadline, 'it was not read');
      await stage.publish({ channel: stage.channel, formats: { 'http-stream': { content: 'still here' } } });
      await client.text('still here');
    },
  },
  {
    id: '7.1-same-condition',
    rule: 'of two lines with the same condition the second is skipped',
    run: async (stage) => {
      assert.equal(await routeOf(stage, '', { host: 'twice.example' }), 'first');
    },
  },
  {
    id: '7.1-bad-line',
    rule: 'a bad line is skipped; the rest still loads',
    run: async (stage) => {
      assert.equal(await routeOf(stage, '', { host: 'after-bad.example' }), 'loaded');
    },
  },
  {
    id: '7.1-quotes-and-comments',
    rule: 'quotes enclose commas and spaces; # begins a comment outside of them',
    run: async (stage) => {
      assert.equal(await routeOf(stage, '', { host: 'quoted.example' }), 'a, b # c');
    },
  },
];

const properties: Case[] = [
  {
    id: '7.1-header',
    rule: 'header sets a field, replacing the one of the client; an empty value deletes it',
    run: async (stage) => {
      stage.answer({ body: 'ok' });
      await (await stage.send('', { host: 'headers.example', headers: ['X-Set: client', 'X-Gone: client'] })).answer();
      const { headers } = await stage.request(0);
      assert.deepEqual([headers['x-set'], headers['x-gone']], ['route', undefined]);
    },
  },
  {
    id: '7.1-as-host',
    rule: 'as_host is the Host towards the backend',
    run: async (stage) => {
      stage.answer({ body: 'ok' });
      await (await stage.send('', { host: 'as-host.example' })).answer();
      assert.equal((await stage.request(0)).headers.host, 'other.example');
    },
  },
  {
    id: '7.1-target-host',
    rule: 'host of a target is the Host towards it, before as_host',
    run: async (stage) => {
      stage.answer({ body: 'ok' });
      await (await stage.send('', { host: 'target-host.example' })).answer();
      assert.equal((await stage.request(0)).headers.host, 'target.example');
    },
  },
  {
    id: '7.1-path-rem',
    rule: 'path_rem cuts characters off the front of the path',
    run: async (stage) => {
      assert.equal((await byPath(stage, 'rewritten.example', '/cut/rest')).path, '/rest');
    },
  },
  {
    id: '7.1-replace-beg',
    rule: 'replace_beg replaces what path_beg matched',
    run: async (stage) => {
      assert.equal((await byPath(stage, 'rewritten.example', '/old/rest')).path, '/new/rest');
    },
  },
  {
    id: '7.1-signature-of-route',
    rule: 'sig_iss is the issuer for a route',
    run: async (stage) => {
      stage.answer({ body: 'ok' });
      await (await stage.send('', { host: 'signed.example' })).answer();
      const [, claims = ''] = String((await stage.request(0)).headers['grip-sig']).split('.');
      const { iss } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { readonly iss: string };
      assert.equal(iss, 'of-the-route');
      assert.notEqual(iss, signature.issuer);
    },
  },
  {
    id: '7.1-prefix',
    rule: 'prefix is put before channels of holds, not before those that are published',
    run: async (stage) => {
      stage.answer(stream(stage.channel));
      const client = await stage.send('', { host: 'prefix.example' });
      await client.head();
      await client.text('[open]');
      await stage.joined(client, `pre-${stage.channel}`);
    },
  },
  {
    id: '7.1-implicit-channel-of-hold',
    rule: 'sub of a target subscribes holds, too',
    run: async (stage) => {
      stage.answer({ headers: { 'Grip-Hold': 'stream' }, body: '[open]' });
      const client = await stage.send('', { host: 'sub-hold.example' });
      await client.head();
      await client.text('[open]');
      await stage.joined(client, 'implicit-of-hold');
    },
  },
  {
    id: '7.1-no-grip',
    rule: 'no_grip: no Grip-Feature, and holds are ordinary responses',
    run: async (stage) => {
      stage.answer(held('c'));
      const answer = await (await stage.send('', { host: 'no-grip.example' })).answer();
      assert.equal(answer.body, 'nothing\n');
      assert.equal((await stage.request(0)).headers['grip-feature'], undefined);
    },
  },
  {
    id: '7.1-pushpin-route',
    rule: 'with accept_pushpin_route the field chooses a route by its id, and is removed',
    run: async (stage) => {
      assert.equal(await routeOf(stage, '', { headers: ['Pushpin-Route: by-id'] }), 'by-id');
      assert.equal((await stage.request(0)).headers['pushpin-route'], undefined);
    },
  },
  {
    id: '7.1-pushpin-route-unknown',
    rule: 'an unknown id gives 502',
    run: async (stage) => {
      assert.equal(await routeOf(stage, '', { headers: ['Pushpin-Route: unknown'] }), 'status 502');
    },
  },
];

const targets: Case[] = [
  {
    id: '7.1-next-target',
    rule: 'a refused connection leads to the next target',
    run: async (stage) => {
      stage.answer({ body: 'second' });
      assert.equal((await (await stage.send('', { host: 'failover.example' })).answer()).body, 'second');
    },
  },
  {
    id: '7.1-status-is-no-failure',
    rule: 'an HTTP status never leads to the next target',
    run: async (stage) => {
      stage.answer({ status: 503, body: 'busy' });
      const answer = await (await stage.send('', { host: 'two.example' })).answer();
      assert.deepEqual([answer.status, answer.body, stage.requests.length], [503, 'busy', 1]);
    },
  },
  ...(
    [
      ['greets', '/', 200, /.+/],
      ['unknown', '/unknown', 404, /no such test resource\n/],
    ] as const
  ).map(([name, path, status, body]): Case => ({
    id: `7.1-test-${name}`,
    rule: `the built-in backend: ${path}`,
    run: async (stage) => {
      const client = await stage.connect();
      client.send(path, { host: 'test.example' });
      const answer = await client.answer();
      assert.equal(answer.status, status);
      assert.match(answer.body, body);
    },
  })),
  {
    id: '7.1-test-stream',
    rule: 'the built-in backend streams at /stream, on the channels of the query',
    run: async (stage) => {
      const client = await stage.connect();
      client.send(`/stream?channel=${stage.channel}`, { host: 'test.example' });
      assert.equal((await client.head()).status, 200);
      await client.text('[stream opened]\n');
      await stage.joined(client);
    },
  },
  {
    id: '7.1-test-response',
    rule: 'the built-in backend holds at /response',
    run: async (stage) => {
      const client = await stage.connect();
      client.send(`/response?channel=${stage.channel}`, { host: 'test.example' });
      assert.equal((await stage.answered(client, { formats: { 'http-response': { body: 'heard' } } })).body, 'heard');
    },
  },
  {
    id: '7.1-test-echo',
    rule: 'the built-in backend echoes at /ws',
    run: async (stage) => {
      const client = await stage.connect();
      const head = [
        'Upgrade: websocket',
        'Connection: Upgrade',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ];
      client.send('/ws', { host: 'test.example', headers: head });
      const socket = await stage.opened(client);
      socket.text('hello');
      assert.equal(await socket.next(), 'TEXT hello');
    },
  },
];

export const routes: Chapter = { number: 7, title: 'Routes', cases: [selection, properties, targets].flat() };
