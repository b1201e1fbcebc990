/** Runs the contract of policies on each one that comes with Foregate, and on the example of the documentation. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { policies } from '../../policies/index.ts';
import { policyContract, type PolicySamples } from '../../gateway/testing/policy-contract.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const publicKey = rsa.publicKey.export({ format: 'pem', type: 'spki' });
const privateKey = rsa.privateKey.export({ format: 'pem', type: 'pkcs8' });
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
