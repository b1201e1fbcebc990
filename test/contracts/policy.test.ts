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
