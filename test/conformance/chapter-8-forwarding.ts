/** Chapter 8: forwarding rules. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { BackendRequest, Reply } from './backend.ts';
import type { Case, Chapter } from './case.ts';
import type { RequestTerms } from './connection.ts';
import { signature, upstreamKey } from './files.ts';
import { accepting, events, held } from './replies.ts';
import type { Stage } from './stage.ts';

/** Sends a request; what the backend got and what the client gets. */
async function passed(stage: Stage, rest = '', terms: RequestTerms = {}, reply: Reply = { body: 'ok' }) {
  stage.answer(reply);
  const client = await stage.send(rest, terms);
  const answer = await client.answer();
  return { request: await stage.request(0), answer, client };
}

function values(request: BackendRequest, name: string): string[] {
  return request.rawHeaders.filter((_, i, all) => i % 2 === 1 && all[i - 1]?.toLowerCase() === name);
}

const hopByHop = {
  foregate: 'is removed',
  pushpin: 'is passed on',
  reason: 'it is for the next hop alone, which is the gateway (RFC 9110)',
};

const plain: Case[] = [
  {
    id: '8.1-request',
    rule: 'method, path with query, and body reach the backend as received',
    run: async (stage) => {
      const { request } = await passed(stage, '/a%20b/../c?x=%2F&y', { method: 'PATCH', body: 'sent' });
      assert.deepEqual([request.method, request.path, request.body], ['PATCH', `${stage.path}/a%20b/../c?x=%2F&y`, 'sent']);
    },
  },
  {
    id: '8.1-chunked-request',
    rule: 'a chunked body arrives whole',
    run: async (stage) => {
      stage.answer({ body: 'ok' });
      const client = await stage.connect();
      const head = `POST ${stage.path} HTTP/1.1\r\nHost: client.example\r\nTransfer-Encoding: chunked\r\n\r\n`;
      client.raw.send(`${head}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`);
      await client.answer();
      assert.equal((await stage.request(0)).body, 'abcde');
    },
  },
  {
    id: '8.1-removed-from-requests',
    rule: 'fields of the connection, Accept-Encoding, Expect and Grip-* do not reach the backend',
    run: async (stage) => {
      const headers = [
        'Connection: keep-alive',
        'Keep-Alive: forged',
        'Expect: 100-continue',
        'Accept-Encoding: forged',
        'Grip-X: forged',
      ];
      const { request } = await passed(stage, '', { headers });
      assert.equal(request.rawHeaders.includes('forged'), false, request.rawHeaders.join('|'));
      assert.deepEqual(values(request, 'expect'), []);
    },
  },
  {
    id: '8.1-forged-signature',
    rule: "a client's Grip-Sig is replaced by the gateway's",
    run: async (stage) => {
      const { request } = await passed(stage, '', { headers: ['Grip-Sig: forged'] });
      assert.equal(values(request, 'grip-sig').length, 1);
      assert.notEqual(values(request, 'grip-sig')[0], 'forged');
    },
  },
  {
    id: '8.1-passed-on',
    rule: 'all other fields reach the backend, Via and Authorization included',
    run: async (stage) => {
      const headers = ['Via: 1.1 x', 'Authorization: a', 'X-Own: 1', 'Cookie: c=d'];
      const { request } = await passed(stage, '', { headers });
      const names = ['via', 'authorization', 'x-own', 'cookie'];
      assert.deepEqual(
        names.map((name) => values(request, name).join()),
        ['1.1 x', 'a', '1', 'c=d'],
      );
    },
  },
  {
    id: '8.1-proxy-authorization',
    rule: 'Proxy-Authorization of a client',
    differs: hopByHop,
    run: async (stage) => {
      const { request } = await passed(stage, '', { headers: ['Proxy-Authorization: p'] });
      assert.deepEqual(values(request, 'proxy-authorization'), stage.pick({ foregate: [], pushpin: ['p'] }));
    },
  },
  {
    id: '8.1-content-encoding',
    rule: 'Content-Encoding of a request with a body',
    differs: {
      foregate: 'is passed on',
      pushpin: 'is removed, though the body is not decoded',
      reason: 'without it the backend cannot read the body',
    },
    run: async (stage) => {
      const headers = ['Content-Encoding: gzip'];
      const { request } = await passed(stage, '', { method: 'POST', headers, body: gzipSync('plain').toString('latin1') });
      assert.equal(request.body, gzipSync('plain').toString('latin1'));
      assert.deepEqual(values(request, 'content-encoding'), stage.pick({ foregate: ['gzip'], pushpin: [] }));
    },
  },
  {
    id: '8.1-percent-encoding',
    rule: 'a character of the path that is encoded without need',
    differs: {
      foregate: 'stays as it is',
      pushpin: 'is decoded',
      reason: 'signatures of requests are made over the path as sent',
    },
    run: async (stage) => {
      const { request } = await passed(stage, '/%41?%42');
      assert.equal(request.path, stage.path + stage.pick({ foregate: '/%41?%42', pushpin: '/A?B' }));
    },
  },
  {
    id: '8.1-te',
    rule: 'TE of a client',
    differs: hopByHop,
    run: async (stage) => {
      const { request } = await passed(stage, '', { headers: ['TE: trailers'] });
      assert.deepEqual(values(request, 'te'), stage.pick({ foregate: [], pushpin: ['trailers'] }));
    },
  },
  {
    id: '8.1-host',
    rule: "Host towards the backend is the client's, in lower case",
    run: async (stage) => {
      const { request } = await passed(stage, '', { host: 'Client.Example:8080' });
      assert.deepEqual(values(request, 'host'), ['client.example:8080']);
    },
  },
  {
    id: '8.1-response',
    rule: 'status, reason, fields and body of a response go to the client; nothing is added to them',
    run: async (stage) => {
      const reply: Reply = {
        status: 299,
        reason: 'Odd',
        headers: [
          ['Set-Cookie', 'a=1'],
          ['Set-Cookie', 'b=2'],
          ['X-Own', '1'],
        ],
        body: 'b',
      };
      const { answer } = await passed(stage, '', {}, reply);
      assert.deepEqual([answer.status, answer.reason, answer.body], [299, 'Odd', 'b']);
      assert.deepEqual([answer.headers.get('set-cookie'), answer.headers.get('x-own')], ['a=1, b=2', '1']);
      for (const name of ['via', 'server', 'date']) assert.equal(answer.headers.get(name), undefined, name);
    },
  },
  {
    id: '8.1-redirect',
    rule: 'redirects are passed on',
    run: async (stage) => {
      const { answer } = await passed(stage, '', {}, { status: 301, headers: { Location: '/there' } });
      assert.deepEqual([answer.status, answer.headers.get('location'), stage.requests.length], [301, '/there', 1]);
    },
  },
  {
    id: '8.1-compressed',
    rule: 'a compressed response is decoded, or keeps its Content-Encoding',
    run: async (stage) => {
      const { answer } = await passed(stage, '', {}, { headers: { 'Content-Encoding': 'gzip' }, body: gzipSync('plain text') });
      const body = answer.headers.get('content-encoding') === 'gzip' ? gzipSync('plain text').toString('latin1') : 'plain text';
      assert.equal(answer.body, body);
    },
  },
  {
    id: '8.1-streamed-response',
    rule: 'a response is passed on as it comes',
    run: async (stage) => {
      let finish = (): void => {};
      stage.answer(({ response }) => {
        response.writeHead(200);
        response.write('one');
        finish = () => void response.end('two');
        return undefined;
      });
      const client = await stage.send();
      await client.head();
      await client.text('one');
      finish();
      assert.equal(await client.rest(), 'two');
    },
  },
  {
    id: '8.1-keep-alive',
    rule: 'a client may use its connection again, and send requests ahead',
    run: async (stage) => {
      stage.answer((request) => ({ body: request.path.slice(-1) }));
      const client = await stage.send('/1');
      assert.equal((await client.answer()).body, '1');
      client.send(`${stage.path}/2`);
      client.send(`${stage.path}/3`);
      assert.equal((await client.answer()).body, '2');
      assert.equal((await client.answer()).body, '3');
    },
  },
  {
    id: '8.1-http-1.0',
    rule: 'HTTP/1.0 is served; the connection closes after the answer',
    run: async (stage) => {
      stage.answer({ body: 'ok' });
      const client = await stage.send('', { version: '1.0' });
      assert.equal((await client.answer()).body, 'ok');
      await client.raw.takeEnd(10_000);
    },
  },
  {
    id: '8.1-head',
    rule: 'the answer to HEAD has the fields and no body',
    run: async (stage) => {
      stage.answer(({ response }) => {
        response.writeHead(200, { 'Content-Length': '5', 'X-Own': '1' });
        response.end();
        return undefined;
      });
      const client = await stage.send('', { method: 'HEAD' });
      const { status, headers } = await client.head();
      assert.deepEqual([status, headers.get('x-own')], [200, '1']);
      await stage.quiet(200);
      assert.equal(client.raw.received.length, 0);
    },
  },
  {
    id: '8.1-large-bodies',
    rule: 'bodies of plain requests and responses have no limit',
    run: async (stage) => {
      const large = 'z'.repeat(1_500_000);
      const { request, answer } = await passed(stage, '', { method: 'POST', body: large }, { body: large });
      assert.deepEqual([request.body.length, answer.body.length], [large.length, large.length]);
    },
  },
  {
    id: '8.1-events-from-client',
    rule: 'a client may not send WebSocket events itself: 403',
    run: async (stage) => {
      const headers = ['Content-Type: application/websocket-events'];
      stage.answer(accepting());
      const answer = await (await stage.send('', { method: 'POST', headers, body: 'OPEN\r\n' })).answer();
      assert.deepEqual([answer.status, answer.body], [403, 'Client not allowed to send WebSocket events directly.\n']);
      assert.equal(stage.requests.length, 0);
    },
  },
  {
    id: '8.1-large-header',
    rule: 'a request header above client_buffer_size',
    differs: {
      foregate: 'is answered with an error',
      pushpin: 'closes the connection (1.36)',
      reason: 'the client learns why; newer releases do it, too',
    },
    run: async (stage) => {
      stage.answer({ body: 'ok' });
      const client = await stage.send('', { headers: [`X-Large: ${'x'.repeat(9000)}`] });
      if (stage.kind === 'pushpin') await client.raw.takeEnd(10_000);
      else assert.match(String((await client.head()).status), /^4/);
      assert.equal(stage.requests.length, 0);
    },
  },
  {
    id: '8.1-no-target',
    rule: 'no target can be connected to: 502, plain text',
    run: async (stage) => {
      const answer = await (await stage.send('', { host: 'closed.example' })).answer();
      assert.deepEqual([answer.status, answer.body], [502, 'Error while proxying to origin.\n']);
    },
  },
  {
    id: '8.1-no-target-debug',
    rule: 'in debug mode it says which were tried',
    run: async (stage) => {
      const answer = await (await stage.send('', { host: 'closed-debug.example' })).answer();
      assert.match(answer.body, /^Unable to connect to any targets\. Tried: 127\.0\.0\.1:\d+\n$/);
    },
  },
  {
    id: '8.1-pushpin-check',
    rule: 'a request with Pushpin-Check',
    differs: {
      foregate: 'reaches the backend',
      pushpin: 'is answered with the licence of Pushpin',
      reason: 'it is about Pushpin',
    },
    run: async (stage) => {
      stage.answer({ body: 'ok' });
      await (await stage.send('', { headers: ['Pushpin-Check: 1'] })).answer();
      assert.equal(stage.requests.length, stage.pick({ foregate: 1, pushpin: 0 }));
    },
  },
];

/** What a token says, and whether its signature is right. */
function token(text: string): { header: unknown; claims: Record<string, unknown>; signed: boolean } {
  const [head = '', body = '', mark] = text.split('.');
  const decode = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString());
  const expected = createHmac('sha256', signature.key).update(`${head}.${body}`).digest('base64url');
  return { header: decode(head), claims: decode(body) as Record<string, unknown>, signed: mark === expected };
}

const fields: Case[] = [
  {
    id: '8.2-forwarded-for',
    rule: 'X-Forwarded-For of a client, with the option empty',
    run: async (stage) => {
      const { request } = await passed(stage, '', { headers: ['X-Forwarded-For: 203.0.113.9'] });
      assert.deepEqual(values(request, 'x-forwarded-for'), ['203.0.113.9']);
    },
  },
  {
    id: '8.2-forwarded-proto',
    rule: 'X-Forwarded-Proto of a request without TLS, with proto-only',
    run: async (stage) => {
      const { request } = await passed(stage, '', { headers: ['X-Forwarded-Proto: https'] });
      assert.deepEqual(values(request, 'x-forwarded-proto'), []);
    },
  },
  {
    id: '8.3-features',
    rule: 'Grip-Feature is one list of names that Pushpin has',
    run: async (stage) => {
      const { request } = await passed(stage);
      const names = [
        'status',
        'session',
        'link:next',
        'link:gone',
        'filter:skip-self',
        'filter:skip-users',
        'filter:require-sub',
      ];
      const known = new Set([...names, 'filter:build-id', 'filter:var-subst', 'filter:http-check', 'filter:http-modify']);
      const [list = ''] = values(request, 'grip-feature');
      assert.deepEqual(
        list.split(', ').filter((name) => !known.has(name)),
        [],
      );
    },
  },
  {
    id: '8.4-signature',
    rule: 'Grip-Sig is a token with the issuer and key of the configuration, good for an hour',
    run: async (stage) => {
      const { request } = await passed(stage);
      const { header, claims, signed } = token(String(request.headers['grip-sig']));
      assert.deepEqual(header, { typ: 'JWT', alg: 'HS256' });
      assert.equal(claims['iss'], signature.issuer);
      assert.ok(Math.abs(Number(claims['exp']) - Date.now() / 1000 - 3600) < 60, String(claims['exp']));
      assert.ok(signed);
    },
  },
  {
    id: '8.4-signature-of-socket',
    rule: 'so it is in requests of WebSockets',
    run: async (stage) => {
      stage.answer(accepting({}, () => events()));
      await stage.open();
      assert.ok(token(String((await stage.request(0)).headers['grip-sig'])).signed);
    },
  },
];

/** A token of a gateway in front. */
function upstreamToken(exp = Math.floor(Date.now() / 1000) + 600, key = upstreamKey): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${encode({ typ: 'JWT', alg: 'HS256' })}.${encode({ iss: 'front', exp })}`;
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
}

const chained: Case[] = [
  {
    id: '8.5-trusted',
    rule: 'a client whose Grip-Sig fits upstream_key is a gateway: its Grip-* pass, replies go back untouched, nothing is held',
    run: async (stage) => {
      const mark = upstreamToken();
      const { request, answer } = await passed(stage, '', { headers: [`Grip-Sig: ${mark}`, 'Grip-X: 1'] }, held('c'));
      assert.deepEqual([request.headers['grip-sig'], request.headers['grip-x']], [mark, '1']);
      assert.deepEqual([answer.headers.get('grip-hold'), answer.body], ['response', 'nothing\n']);
    },
  },
  {
    id: '8.5-trusted-events',
    rule: 'its WebSocket events are proxied as plain HTTP',
    run: async (stage) => {
      const headers = [`Grip-Sig: ${upstreamToken()}`, 'Content-Type: application/websocket-events', 'Connection-Id: x'];
      const { request, answer } = await passed(stage, '', { method: 'POST', headers, body: 'OPEN\r\n' }, events('OPEN\r\n'));
      assert.deepEqual([request.body, request.headers['connection-id'], answer.body], ['OPEN\r\n', 'x', 'OPEN\r\n']);
    },
  },
  ...(
    [
      ['expired', () => upstreamToken(1000)],
      ['other-key', () => upstreamToken(undefined, 'another key')],
    ] as const
  ).map(([name, mark]): Case => ({
    id: `8.5-${name}`,
    rule: `a Grip-Sig that is not good (${name}) is replaced, and Grip-* removed`,
    run: async (stage) => {
      const { request } = await passed(stage, '', { headers: [`Grip-Sig: ${mark()}`, 'Grip-X: 1'] });
      assert.notEqual(request.headers['grip-sig'], mark());
      assert.equal(request.headers['grip-x'], undefined);
    },
  })),
];

const crossOrigin: Case[] = [
  {
    id: '8.6-cors',
    rule: 'aco adds the CORS fields that are absent',
    run: async (stage) => {
      const headers = ['Origin: https://app.example'];
      const { answer } = await passed(stage, '', { host: 'aco.example', headers }, { headers: { 'X-Own': '1' }, body: 'ok' });
      assert.equal(answer.headers.get('access-control-allow-origin'), 'https://app.example');
      assert.equal(answer.headers.get('access-control-allow-credentials'), 'true');
      assert.match(String(answer.headers.get('access-control-expose-headers')), /x-own/i);
    },
  },
  {
    id: '8.6-preflight',
    rule: 'a preflight is still sent to the backend, and answered with what was asked for',
    run: async (stage) => {
      const headers = [
        'Origin: https://app.example',
        'Access-Control-Request-Method: PUT',
        'Access-Control-Request-Headers: X-A',
      ];
      const { answer } = await passed(stage, '', { host: 'aco.example', method: 'OPTIONS', headers }, { body: '' });
      assert.equal(answer.headers.get('access-control-allow-methods'), 'PUT');
      assert.equal(answer.headers.get('access-control-allow-headers'), 'X-A');
      assert.equal(answer.headers.get('access-control-max-age'), '3600');
    },
  },
  {
    id: '8.6-jsonp',
    rule: 'a GET with the callback parameter is answered as a script; the parameter is removed before',
    run: async (stage) => {
      const { request, answer } = await passed(stage, '?callback=cb&a=b', { host: 'aco.example' }, { status: 404, body: 'text' });
      assert.equal(request.path, `${stage.path}?a=b`);
      assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'application/javascript']);
      const [, json = ''] = /^\/\*\*\/cb\((.*)\);\n$/s.exec(answer.body) ?? [];
      const { code, body } = JSON.parse(json) as { readonly code: number; readonly body: string };
      assert.deepEqual([code, body], [404, 'text']);
    },
  },
  {
    id: '8.7-sockjs-info',
    rule: 'SockJS: /info below the path of the route',
    run: async (stage) => {
      const client = await stage.connect();
      client.send('/sockjs/info', { host: 'sockjs.example' });
      const answer = await client.answer();
      assert.equal(answer.status, 200);
      assert.equal((JSON.parse(answer.body) as { readonly websocket: boolean }).websocket, true);
    },
  },
];

const statistics: Case[] = [
  {
    id: '8.8-prometheus',
    rule: 'items and deliveries are counted for Prometheus, on a port of its own, with the prefix before each name',
    files: true,
    alone: true,
    run: async (stage) => {
      const client = await stage.watching();
      const before = await counted(stage);
      for (const content of ['one', 'two', 'three'])
        await stage.publish({ channel: stage.channel, formats: { 'http-stream': { content } } });
      await client.text('onetwothree');
      const after = await counted(stage);
      for (const name of ['pre_message_received', 'pre_message_sent'])
        assert.equal((after.get(name) ?? NaN) - (before.get(name) ?? NaN), 3, name);
      assert.ok((after.get('pre_connection_connected') ?? 0) >= 1, 'the stream is no connection');
    },
  },
];

async function counted(stage: Stage): Promise<ReadonlyMap<string, number>> {
  await stage.quiet(); // Pushpin's processes tell each other now and then.
  const text = await (await fetch(`http://127.0.0.1:${stage.gateway.metricsPort}/`)).text();
  return new Map([...text.matchAll(/^(\w+) (\d+)$/gm)].map(([, name = '', value]) => [name, Number(value)]));
}

export const forwarding: Chapter = {
  number: 8,
  title: 'Forwarding',
  cases: [plain, fields, chained, crossOrigin, statistics].flat(),
};
