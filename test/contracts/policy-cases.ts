/** Cases for the contract of policies, by the name of the policy: each of policies/index.ts needs some. */
import { generateKeyPairSync } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import jsonwebtoken from 'jsonwebtoken';
import type { ErrorCode } from '../../gateway/core/errors.ts';
import type { PolicySamples, RecordedEvent } from '../../gateway/testing/index.ts';

interface Scene {
  readonly options: unknown;
  readonly events: readonly RecordedEvent[];
}

export interface PolicyCases extends PolicySamples {
  /**
   * Options and events that all pass. The header fields of the first `connect` also let a WebSocket in for which no policy has
   * set an identity before, and text messages pass there.
   */
  readonly allow: Scene;
  /** Options and events of which the last is refused with this code; or why this policy never refuses. */
  readonly deny: (Scene & { readonly code: ErrorCode }) | { readonly never: string };
  /** Why no WebSocket comes in by header fields alone; its own test has to reload it in the middle of connections then. */
  readonly noPlainClient?: string;
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const publicKey = rsa.publicKey.export({ format: 'pem', type: 'spki' });
const privateKey = rsa.privateKey.export({ format: 'pem', type: 'pkcs8' });
const secret = 'a secret of thirty-two bytes or more';
const token = jsonwebtoken.sign({ sub: 'ann' }, secret, { expiresIn: '1h' });

const passwords = fileURLToPath(new URL('../fixtures/passwords', import.meta.url));
const tokenServer = { url: 'http://127.0.0.1:1/', clientId: 'gate', clientSecret: 'secret' };

const arrive = (headers: readonly string[] = []): RecordedEvent => ({ at: 0, kind: 'connect', request: { headers } });
const join = (channel: string): RecordedEvent => ({ at: 0, kind: 'subscribe', channel });
const say = (message: string): RecordedEvent => ({ at: 0, kind: 'message', message });

export const policyCases: Readonly<Partial<Record<string, PolicyCases>>> = {
  origin: {
    good: [
      { allow: ['https://app.example'] },
      { allow: ['*.app.example', 'app.example:8443', 'null', 'http://[::1]:5173', 'capacitor://localhost'], required: true },
    ],
    bad: [
      {},
      { allow: [] },
      { allow: 'https://app.example' },
      { allow: ['*'] },
      { allow: ['https://app.example/'] },
      { allow: ['https://user@app.example'] },
      { allow: ['https://*'] },
      { allow: ['https://a.*.example'] },
      { allow: ['https://app.example:port'] },
      { allow: [''] },
      { allow: ['https://app.example'], requird: true },
    ],
    allow: { options: { allow: ['https://app.example'] }, events: [arrive(['Origin', 'https://app.example'])] },
    deny: {
      options: { allow: ['https://app.example'] },
      events: [arrive(['Origin', 'https://evil.example'])],
      code: 'forbidden',
    },
  },
  jwt: {
    good: [
      { secret },
      { publicKey, algorithms: ['RS256', 'PS256'], issuer: 'https://id.example', audience: ['chat', 'news'] },
      { jwks: 'https://id.example/jwks.json', from: { subprotocol: 'token', cookie: 'session' }, required: false },
      {
        discovery: 'https://id.example',
        claims: { role: ['admin'] },
        scopes: ['chat:write'],
        forwardClaims: { 'X-User': 'sub' },
      },
      {
        issuers: [
          { issuer: 'https://a.example', secret },
          { issuer: 'https://b.example', discovery: 'https://b.example', audience: 'chat' },
        ],
        warn: { before: '30s', text: 'soon' },
        renewal: { value: 'auth', answer: 'ok' },
      },
    ],
    bad: [
      {},
      { secret, publicKey },
      { secret, jwks: 'https://id.example/jwks.json' },
      { secret: '' },
      { secret: 'base64:' },
      { secret, algorithms: ['none'] },
      { secret, algorithms: [] },
      { secret, algorithms: ['RS256'] },
      { publicKey, algorithms: ['HS256'] },
      { publicKey, algorithms: ['RS256', 'HS256'] },
      { publicKey, algorithms: ['ES256'] },
      { publicKey: 'not a key' },
      { publicKey: privateKey },
      { jwks: 'id.example/jwks.json' },
      { jwks: 'file:///keys.json' },
      { jwks: 'https://user:password@id.example/jwks.json' },
      { secret, from: {} },
      { secret, from: { body: 'token' } },
      { secret, issuer: [] },
      { secret, clockTolerance: '5' },
      { secret, audiance: 'chat' },
      { discovery: 'http://id.example' },
      { secret, discovery: 'https://id.example' },
      { issuers: [] },
      { issuers: [{ secret }] },
      { issuers: [{ issuer: 'a', secret }], secret },
      { secret, claims: { role: [] } },
      { secret, claims: { role: { not: 'a value' } } },
      { secret, scopes: [] },
      { secret, scopes: ['two scopes'] },
      { secret, forwardClaims: { 'X User': 'sub' } },
      { secret, forwardClaims: { Host: 'sub' } },
      { secret, forwardClaims: { Connection: 'sub' } },
      { secret, forwardClaims: { Content_Length: 'sub' } },
      { secret, forwardClaims: { 'Grip-Sig': 'sub' } },
      { secret, forwardClaims: { 'X-User': 'sub', x_user: 'name' } },
      { secret, renewal: {} },
      { secret, warn: { before: 'soon', text: 'x' } },
    ],
    allow: { options: { secret }, events: [arrive(['Authorization', `Bearer ${token}`]), say('hello')] },
    deny: { options: { secret }, events: [arrive(['Authorization', `Bearer ${token}x`])], code: 'unauthorized' },
  },
  'api-key': {
    good: [
      { keys: [{ key: 'k1', name: 'shop' }] },
      { keys: [{ key: 'k1', name: 'shop', expires: '2100-01-01' }] },
      {
        keys: [
          { key: 'k1', name: 'shop' },
          { key: 'k2', name: 'shop' },
        ],
        from: { query: 'key' },
        forward: true,
      },
    ],
    bad: [
      {},
      { keys: [] },
      { keys: ['k1'] },
      { keys: [{ key: 'k1' }] },
      { keys: [{ key: '', name: 'shop' }] },
      {
        keys: [
          { key: 'k1', name: 'shop' },
          { key: 'k1', name: 'other' },
        ],
      },
      { keys: [{ key: 'k1', name: 'shop' }], from: { subprotocol: 'key' } },
      { keys: [{ key: 'k1', name: 'shop', expires: 'tomorrow' }] },
      { keys: [{ key: 'k1', name: 'shop', expires: '2027-02-31T00:00' }] },
      { file: 'no-such-file.yaml' },
      { file: '.' },
    ],
    allow: { options: { keys: [{ key: 'k1', name: 'shop' }] }, events: [arrive(['X-API-Key', 'k1'])] },
    deny: { options: { keys: [{ key: 'k1', name: 'shop' }] }, events: [arrive(['X-API-Key', 'k2'])], code: 'unauthorized' },
  },
  ticket: {
    good: [{}, { path: '/chat/tickets', parameter: 't', lifetime: '30s', secret }],
    bad: [
      { path: 'tickets' },
      { path: '/tickets?x' },
      { parameter: '' },
      { lifetime: '0s' },
      { lifetime: '500ms' },
      { lifetime: '1h' },
      { secret: 'short' },
      { secret: 'base64:' },
      { tickets: true },
    ],
    allow: {
      options: {},
      events: [
        {
          at: 0,
          kind: 'connect',
          identity: { subject: 'ann', by: 'jwt' },
          request: { method: 'POST', path: '/tickets', transport: 'request', headers: ['Authorization', 'Bearer x'] },
        },
      ],
    },
    deny: { options: {}, events: [{ at: 0, kind: 'connect', request: { path: '/?ticket=x' } }], code: 'unauthorized' },
    noPlainClient: 'a ticket must be fetched first',
  },
  'rate-limit': {
    good: [
      { messages: 20 },
      { bytes: 1000, window: '1m', by: 'session', over: 'drop' },
      { connections: 5, window: '24d', by: 'key' },
      { connections: 5, over: 'close' },
      { connections: 5, over: 'delay', burst: 2 },
      { connections: 5, over: 'answer', text: '{wait}: {detail}' },
      { subscriptions: 5, over: 'answer' },
      { messages: 5, burst: 10, by: ['subject', 'route'] },
      { messages: 5, over: 'delay' },
      { messages: 5, over: 'answer', text: '{"wait":{wait}}', legacyFields: true },
      { limits: [{ messages: 5 }, { messages: 100, window: '1m', burst: 20 }] },
      { subscriptions: 5, by: 'session', over: 'close' },
    ],
    bad: [
      {},
      { messages: 1, bytes: 1 },
      { messages: 0 },
      { messages: 1.5 },
      { messages: 'twenty' },
      { messages: 1, window: '0s' },
      { messages: 1, window: '25d' },
      { messages: 1, window: 1000 },
      { messages: 1, by: 'color' },
      { messages: 1, over: 'ignore' },
      { connections: 1, by: 'session' },
      { connections: 1, over: 'drop' },
      { messages: 1, over: 'evict' },
      { subscriptions: 1, over: 'drop' },
      { subscriptions: 1, over: 'delay' },
      { publishes: 1, over: 'delay' },
      { publishes: 1, over: 'answer' },
      { messages: 1, by: 'channel' },
      { messages: 1, over: 'refuse' },
      { messages: 1, text: 'no' },
      { messages: 1, burst: 2, algorithm: 'window' },
      { messages: 1, over: 'delay', algorithm: 'window' },
      { publishes: 1, by: 'session' },
      { publishes: 1, over: 'close' },
      { subscriptions: 1, text: 'no' },
      { limits: [] },
      { limits: [{}] },
      { limits: [{ messages: 1 }, { bytes: 1, window: '1m' }] },
      { limits: [{ messages: 1 }, { messages: 2, window: '1000ms' }] },
      { limits: [{ messages: 1 }], messages: 2 },
      { limits: [{ messages: 1 }], burst: 2 },
      { limits: [{ messages: 1, by: 'address' }] },
    ],
    allow: { options: { messages: 20 }, events: [arrive(), say('hello')] },
    deny: { options: { messages: 1 }, events: [arrive(), say('one'), say('two')], code: 'rate-limited' },
  },
  address: {
    good: [
      { allow: ['192.0.2.7', '10.0.0.0/8', '2001:db8::/32', '::1', '::ffff:192.0.2.0/120'] },
      { deny: ['192.0.2.7'], from: 'forwarded' },
      { allow: [], deny: ['::/0'] },
    ],
    bad: [
      {},
      { allow: [], deny: [] },
      { allow: ['localhost'] },
      { allow: ['10.0.0.0/33'] },
      { allow: ['::/129'] },
      { allow: ['10.0.0.0/8/8'] },
      { allow: ['10.0.0.0/'] },
      { allow: ['10.0.0'] },
      { deny: ['10.0.0.1:80'] },
      { deny: [''] },
      { deny: '10.0.0.1' },
      { deny: ['10.0.0.1'], from: 'anybody' },
    ],
    allow: { options: { deny: ['198.51.100.0/24'] }, events: [arrive()] },
    deny: { options: { deny: ['192.0.2.1'] }, events: [arrive()], code: 'forbidden' },
  },
  parameters: {
    good: [
      { parameters: [{ name: 'limit', in: 'query', schema: { type: 'integer', maximum: 100 } }] },
      {
        template: '/rooms/{room}/{file}.json',
        parameters: [
          { name: 'room', in: 'path', schema: { type: 'array', items: { type: 'string' } }, style: 'matrix', explode: true },
          { name: 'file', in: 'path' },
          { name: 'filter', in: 'query', style: 'deepObject', schema: { type: 'object', properties: { min: {} } } },
          { name: 'ids', in: 'cookie', explode: false, schema: { type: 'array' } },
          { name: 'X-Client', in: 'header', required: true, json: true, schema: { type: 'object' } },
        ],
      },
    ],
    bad: [
      {},
      { parameters: [] },
      { parameters: [{ name: 'a' }] },
      { parameters: [{ name: 'a', in: 'body' }] },
      { parameters: [{ name: 'a', in: 'query', shema: {} }] },
      { parameters: [{ name: 'a', in: 'query', schema: { type: 'text' } }] },
      { parameters: [{ name: 'a', in: 'query', schema: { format: 'colour' } }] },
      { parameters: [{ name: 'a', in: 'query', style: 'matrix' }] },
      { parameters: [{ name: 'a', in: 'query', style: 'deepObject' }] },
      { parameters: [{ name: 'a', in: 'query', style: 'form', json: true }] },
      { parameters: [{ name: 'a', in: 'query', style: 'pipeDelimited', explode: true, schema: { type: 'array' } }] },
      { parameters: [{ name: 'a', in: 'query', schema: { type: 'array', items: { type: 'array' } } }] },
      { parameters: [{ name: 'a', in: 'cookie', schema: { type: 'array' } }] },
      { parameters: [{ name: 'a', in: 'path' }] },
      { parameters: [{ name: 'a', in: 'path' }], template: '/b/{b}' },
      { parameters: [{ name: 'a', in: 'path' }], template: '/{a}/{a}' },
      { parameters: [{ name: 'a', in: 'path' }], template: '/{a}{b}' },
      { parameters: [{ name: 'a', in: 'path' }], template: '{a}' },
      {
        parameters: [
          { name: 'A', in: 'header' },
          { name: 'a', in: 'header' },
        ],
      },
    ],
    allow: {
      options: { parameters: [{ name: 'X-Limit', in: 'header', required: true, schema: { type: 'integer' } }] },
      events: [arrive(['X-Limit', '10'])],
    },
    deny: {
      options: { parameters: [{ name: 'X-Limit', in: 'header', required: true, schema: { type: 'integer' } }] },
      events: [arrive(['X-Limit', 'ten'])],
      code: 'bad-request',
    },
  },
  channels: {
    good: [
      { allow: ['user-{sub}', 'org-{claims.org}-*', '{claims.https://id.example/x.y}', '*'] },
      { deny: ['secret-*'], over: 'close' },
      { deny: ['secret-*'], over: 'answer', text: 'no' },
    ],
    bad: [
      {},
      { allow: [], deny: [] },
      { allow: [''] },
      { allow: 'news' },
      { allow: ['user-{subject}'] },
      { allow: ['user-{sub'] },
      { allow: ['user-sub}'] },
      { allow: ['user-{}'] },
      { allow: ['user-{claims.}'] },
      { allow: ['user-{{sub}}'] },
      { deny: ['user-{*}'] },
      { allow: ['news'], over: 'ignore' },
      { allow: ['news'], over: 'drop' },
      { allow: ['news'], over: 'delay' },
      { allow: ['news'], text: 'no' },
    ],
    allow: { options: { allow: ['news'] }, events: [arrive(), join('news')] },
    deny: { options: { allow: ['news'] }, events: [arrive(), join('other')], code: 'forbidden' },
  },
  transform: {
    good: [
      {
        headers: { remove: ['Cookie'], rename: { 'X-A': 'X-B' }, set: { 'X-User': '{sub}', 'X-Org': 'org {claims.org}' } },
        query: { remove: ['debug'], rename: { a: 'b c' }, set: { tenant: '{claims.org}' } },
      },
      { move: [{ from: { query: 'token' }, to: 'Authorization', prefix: 'Bearer ' }] },
      {
        move: [
          { from: { cookie: 'sid' }, to: 'X-Session' },
          { from: { subprotocol: 'key' }, to: 'X-Key' },
        ],
      },
      { headers: { rename: { 'X-A': 'X-B', 'X-B': 'X-A' } } },
    ],
    bad: [
      {},
      { headers: {} },
      { headers: { remove: ['Host'] } },
      { headers: { remove: ['grip-sig'] } },
      { headers: { remove: ['Transfer_Encoding'] } },
      { headers: { rename: { 'X-A': 'Connection_Id' } } },
      { headers: { rename: { 'Content-Length': 'X-Length' } } },
      { headers: { set: { 'Meta-User': 'ann' } } },
      { headers: { set: { 'Sec-WebSocket-Protocol': 'ann' } } },
      { headers: { set: { 'X A': 'ann' } } },
      { headers: { set: { 'X-A': 'a\r\nX-B: b' } } },
      { headers: { set: { 'X-A': 'a\tb' } } },
      { headers: { set: { 'X-A': '\u0141' } } },
      { headers: { set: { 'X-A': '{subject}' } } },
      { headers: { set: { 'X-A': '{sub' } } },
      { headers: { set: { 'X-A': 'a', x_a: 'b' } } },
      { headers: { rename: { 'X-A': 'X-C', 'X-B': 'x-c' } } },
      { headers: { set: { 'X-A': 'a' }, add: { 'X-B': 'b' } } },
      { query: { set: { 'a\n': 'b' } } },
      { query: { set: { a: 'b\r\nc' } } },
      { query: { set: { '': 'b' } } },
      { query: { rename: { a: 'b' }, set: { b: 'c' } } },
      { move: [{ from: {}, to: 'X-Key' }] },
      { move: [{ from: { query: 'a', cookie: 'b' }, to: 'X-Key' }] },
      { move: [{ from: { header: 'X-Key' }, to: 'X-Key' }] },
      { move: [{ from: { query: 'key' }, to: 'Grip-Sig' }] },
      { move: [{ from: { query: 'key' }, to: 'X-Key', prefix: 'a\nb' }] },
      { headers: { set: { 'X-Key': 'a' } }, move: [{ from: { query: 'key' }, to: 'X-Key' }] },
    ],
    allow: { options: { headers: { remove: ['X-A'] } }, events: [arrive()] },
    deny: {
      options: { move: [{ from: { query: 'key' }, to: 'X-Key' }] },
      events: [{ at: 0, kind: 'connect', request: { path: '/?key=a&key=b' } }],
      code: 'bad-request',
    },
  },
  'message-size': {
    good: [
      { textBytes: 1000 },
      { binaryBytes: 0 },
      { textBytes: 1000, binaryBytes: 5, jsonDepth: 8, jsonKeys: 100, over: 'answer', text: '{detail}' },
    ],
    bad: [
      {},
      { over: 'drop' },
      { textBytes: -1 },
      { textBytes: '1k' },
      { jsonDepth: 1.5 },
      { jsonDepth: 1, over: 'delay' },
      { jsonDepth: 1, over: 'refuse' },
      { jsonDepth: 1, text: 'no' },
      { bytes: 1000 },
    ],
    allow: { options: { textBytes: 10 }, events: [arrive(), say('hello')] },
    deny: { options: { textBytes: 4 }, events: [arrive(), say('hello')], code: 'message-too-large' },
  },
  'message-schema': {
    good: [
      { schemas: { chat: { inline: { type: 'object' } } } },
      {
        schemas: { chat: { inline: { $ref: '#/$defs/a', $defs: { a: { type: 'object' } } } }, 1: { inline: {} } },
        by: '/header/type',
        default: 'pass',
        from: 'both',
        over: 'answer',
        text: '{"no":"{detail}"}',
        closeCode: 1007,
      },
    ],
    bad: [
      {},
      { schemas: {} },
      { schemas: { chat: {} } },
      { schemas: { '': { inline: {} } } },
      { schemas: { chat: { file: 'a.json', inline: {} } } },
      { schemas: { chat: { file: 'no-such-file.json' } } },
      { schemas: { chat: { file: 'README.md' } } },
      { schemas: { chat: { file: '.' } } },
      { schemas: { chat: { inline: { type: 'objekt' } } } },
      { schemas: { chat: { inline: { typ: 'object' } } } },
      { schemas: { chat: { inline: { type: 'string', format: 'colour' } } } },
      { schemas: { chat: { inline: { type: 'string', pattern: '(' } } } },
      { schemas: { chat: { inline: { type: 'string', pattern: '(?=a)b' } } } },
      { schemas: { chat: { inline: { type: 'string', pattern: '(a)\\1' } } } },
      { schemas: { chat: { inline: { properties: { a: { type: 'array', uniqueItems: true } } } } } },
      { schemas: { chat: { inline: { $ref: 'other.json' } } } },
      { schemas: { chat: { inline: { $ref: 'https://schemas.example/a.json' } } } },
      { schemas: { chat: { inline: { $ref: '#/$defs/missing' } } } },
      { schemas: { chat: { inline: {} } }, by: '' },
      { schemas: { chat: { inline: {} } }, closeCode: 1000 },
      { schemas: { chat: { inline: {} } }, over: 'refuse' },
      { schemas: { chat: { inline: {} } }, over: 'delay' },
      { schemas: { chat: { inline: {} } }, text: 'no' },
    ],
    allow: { options: { schemas: { a: { inline: {} } }, default: 'pass' }, events: [arrive(), say('hello')] },
    deny: {
      options: { schemas: { a: { inline: { type: 'object' } } } },
      events: [arrive(), say('hello')],
      code: 'bad-request',
    },
  },
  'forward-auth': {
    good: [
      { url: 'http://127.0.0.1:1/check' },
      {
        url: 'https://id.example/check',
        headers: ['Cookie'],
        forward: ['X-User'],
        subject: 'X-User',
        cache: '0s',
        recheck: '60s',
        onError: 'allow',
      },
    ],
    bad: [
      {},
      { url: 'id.example' },
      { url: 'file:///etc/passwd' },
      { url: 'https://user:password@id.example/' },
      { url: 'https://id.example/', forward: ['X User'] },
      { url: 'https://id.example/', forward: ['Transfer-Encoding'] },
      { url: 'https://id.example/', headers: ['X-Forwarded-For'] },
      { url: 'https://id.example/', relay: ['Set-Cookie'] },
      { url: 'https://id.example/', recheck: '60' },
      { url: 'https://id.example/', onError: 'ignore' },
    ],
    allow: { options: { url: 'http://127.0.0.1:1/check', onError: 'allow' }, events: [arrive()] },
    deny: { options: { url: 'http://127.0.0.1:1/check' }, events: [arrive()], code: 'auth-unavailable' },
  },
  introspect: {
    good: [
      { url: 'http://127.0.0.1:1/introspect', clientId: 'gate', clientSecret: 'secret' },
      {
        url: 'https://id.example/introspect',
        clientId: 'gate',
        clientSecret: 'secret',
        audience: ['chat', 'news'],
        scopes: ['chat:read'],
        from: { subprotocol: 'token' },
        recheck: '0s',
      },
    ],
    bad: [
      {},
      { url: 'https://id.example/introspect', clientId: 'gate' },
      { url: 'https://id.example/introspect', clientId: 'gate', clientSecret: '' },
      { url: 'id.example', clientId: 'gate', clientSecret: 'secret' },
      { url: 'https://gate:secret@id.example/', clientId: 'gate', clientSecret: 'secret' },
      { url: 'https://id.example/', clientId: 'gate', clientSecret: 'secret', scopes: ['a b'] },
      { url: 'https://id.example/', clientId: 'gate', clientSecret: 'secret', scopes: ['a"b'] },
      { url: 'https://id.example/', clientId: 'gate', clientSecret: 'secret', from: {} },
    ],
    allow: { options: { ...tokenServer, required: false }, events: [arrive()] },
    deny: { options: tokenServer, events: [arrive()], code: 'unauthorized' },
  },
  mtls: {
    good: [
      {},
      { allow: [{ O: 'Shop', uri: 'spiffe://shop.example/*' }, { fingerprint: 'AB:'.repeat(31) + 'CD' }], subject: 'uri' },
    ],
    bad: [
      { allow: [] },
      { allow: [{}] },
      { allow: [{ CN: '' }] },
      { allow: [{ cn: 'ann' }] },
      { allow: [{ fingerprint: 'AB:CD' }] },
      { allow: 'ann' },
      { subject: 'O' },
    ],
    allow: { options: { required: false }, events: [arrive()] },
    deny: { options: {}, events: [arrive()], code: 'forbidden' },
  },
  basic: {
    good: [{ file: passwords }, { file: passwords, realm: 'The chat', forward: true }],
    bad: [
      {},
      { file: '' },
      { file: 'no such file' },
      { file: '.' },
      { file: passwords, realm: 'a "quote"' },
      { file: passwords, realm: '' },
      { file: passwords, users: [] },
    ],
    allow: { options: { file: passwords }, events: [arrive(['Authorization', `Basic ${btoa('ann:nna')}`])] },
    deny: { options: { file: passwords }, events: [arrive()], code: 'unauthorized' },
  },
  quota: {
    good: [
      { messages: 1000 },
      { messages: 1, period: 'month', timeZone: 'Europe/Berlin', by: ['claim:org', 'route'], over: 'drop' },
      { messages: 1, period: 'hour', over: 'answer', text: 'no', legacyFields: true },
    ],
    bad: [
      {},
      { messages: 0 },
      { messages: 1, period: 'week' },
      { messages: 1, timeZone: 'Mars/Olympus' },
      { messages: 1, timeZone: '' },
      { messages: 1, by: 'session' },
      { messages: 1, by: 'channel' },
      { messages: 1, over: 'delay' },
      { messages: 1, over: 'refuse' },
      { messages: 1, text: 'no' },
    ],
    allow: { options: { messages: 5, period: 'day' }, events: [arrive(), say('hello')] },
    deny: { options: { messages: 1, period: 'day' }, events: [arrive(), say('one'), say('two')], code: 'rate-limited' },
  },
  concurrency: {
    good: [
      { max: 3 },
      { max: 1, by: 'claim:org', over: 'evict', code: 4100 },
      { max: 1, over: 'close' },
      { max: 1, over: 'answer', text: 'no' },
      { max: 2, by: ['subject', 'header:X-Tenant', 'route'] },
    ],
    bad: [
      {},
      { max: 0 },
      { max: 1, by: 'session' },
      { max: 1, by: ['address', 'channel'] },
      { max: 1, by: [] },
      { max: 1, by: 'header:' },
      { max: 1, by: 'header:X Tenant' },
      { max: 1, over: 'drop' },
      { max: 1, over: 'delay' },
      { max: 1, over: 'close', text: 'no' },
      { max: 1, code: 1000 },
    ],
    allow: { options: { max: 5 }, events: [arrive()] },
    deny: { options: { max: 1 }, events: [arrive(), { ...arrive(), session: 'second' }], code: 'rate-limited' },
  },
};

/** What is wrong with the list above, one sentence each: a policy without cases, cases without a policy, a name that stands twice. */
export function caseFaults(names: readonly string[], cases: Readonly<Record<string, unknown>> = policyCases): string[] {
  const without = names
    .filter((name) => !Object.hasOwn(cases, name))
    .map(
      (name) =>
        `policies/index.ts lists "${name}", which has no cases: add "${name}: { good, bad, allow, deny }" to policyCases in test/contracts/policy-cases.ts`,
    );
  const stale = Object.keys(cases).filter((name) => !names.includes(name));
  const twice = names.filter((name, index) => names.indexOf(name) !== index);
  return [
    ...without,
    ...stale.map((name) => `test/contracts/policy-cases.ts has cases for "${name}", which policies/index.ts does not list`),
    ...twice.map((name) => `policies/index.ts lists "${name}" twice`),
  ];
}
