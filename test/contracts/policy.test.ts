/** Runs the contract of policies on each one that comes with Foregate, and on the example of the documentation. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { policies } from '../../policies/index.ts';
import { policyContract, type PolicySamples } from '../../gateway/testing/policy-contract.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const publicKey = rsa.publicKey.export({ format: 'pem', type: 'spki' });
const privateKey = rsa.privateKey.export({ format: 'pem', type: 'pkcs8' });
const passwords = fileURLToPath(new URL('../fixtures/passwords', import.meta.url));
const secret = 'a secret of thirty-two bytes or more';

const samples: Readonly<Record<string, PolicySamples>> = {
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
  },
  jwt: {
    good: [
      { secret },
      { publicKey, algorithms: ['RS256', 'PS256'], issuer: 'https://id.example', audience: ['chat', 'news'] },
      { jwks: 'https://id.example/jwks.json', from: { subprotocol: 'token', cookie: 'session' }, required: false },
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
    ],
  },
  'api-key': {
    good: [
      { keys: [{ key: 'k1', name: 'shop' }] },
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
    ],
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
  },
  'rate-limit': {
    good: [
      { messages: 20 },
      { bytes: 1000, window: '1m', by: 'session', over: 'drop' },
      { connections: 5, window: '24d', by: 'key' },
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
    ],
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
  },
  'message-size': {
    good: [
      { textBytes: 1000 },
      { binaryBytes: 0 },
      { textBytes: 1000, binaryBytes: 5, jsonDepth: 8, jsonKeys: 100, over: 'answer' },
    ],
    bad: [
      {},
      { over: 'drop' },
      { textBytes: -1 },
      { textBytes: '1k' },
      { jsonDepth: 1.5 },
      { jsonDepth: 1, over: 'delay' },
      { bytes: 1000 },
    ],
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
      { schemas: { chat: { inline: { $ref: 'other.json' } } } },
      { schemas: { chat: { inline: { $ref: 'https://schemas.example/a.json' } } } },
      { schemas: { chat: { inline: { $ref: '#/$defs/missing' } } } },
      { schemas: { chat: { inline: {} } }, by: '' },
      { schemas: { chat: { inline: {} } }, closeCode: 1000 },
      { schemas: { chat: { inline: {} } }, over: 'refuse' },
    ],
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
      { move: [{ from: { query: 'key' }, to: 'X-Key', prefix: '\n' }] },
      { headers: { set: { 'X-Key': 'a' } }, move: [{ from: { query: 'key' }, to: 'X-Key' }] },
    ],
  },
  channels: {
    good: [
      { allow: ['user-{sub}', 'org-{claims.org}-*', '{claims.https://id.example/x.y}', '*'] },
      { deny: ['secret-*'], over: 'close' },
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
    ],
  },
};

for (const policy of policies) {
  const options = samples[policy.name];
  if (options !== undefined) policyContract(policy, options);
}

describe('the list of policies', () => {
  it('has a contract run for each, and no name twice', () => {
    assert.deepEqual(policies.map(({ name }) => name).toSorted(), Object.keys(samples).toSorted());
  });
});
