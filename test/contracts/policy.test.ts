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
      { messages: 1, text: 'no' },
    ],
  },
  concurrency: {
    good: [
      { max: 3 },
      { max: 1, by: 'claim:org', over: 'evict', code: 4100 },
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
      { max: 1, over: 'close' },
      { max: 1, code: 1000 },
    ],
  },
  'rate-limit': {
    good: [
      { messages: 20 },
      { bytes: 1000, window: '1m', by: 'session', over: 'drop' },
      { connections: 5, window: '24d', by: 'key' },
      { connections: 5, over: 'close' },
      { messages: 5, burst: 10, by: ['subject', 'route'] },
      { messages: 5, over: 'delay' },
      { messages: 5, over: 'answer', text: '{"wait":{wait}}', legacyFields: true },
      { limits: [{ messages: 5 }, { messages: 100, window: '1m', burst: 20 }] },
      { publishes: 5, by: ['channel', 'subject'], over: 'drop' },
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
      { connections: 1, over: 'delay' },
      { messages: 1, by: 'channel' },
      { messages: 1, over: 'refuse' },
      { messages: 1, text: 'no' },
      { messages: 1, burst: 2, algorithm: 'window' },
      { messages: 1, over: 'delay', algorithm: 'window' },
      { publishes: 1, by: 'session' },
      { publishes: 1, over: 'close' },
      { subscriptions: 1, over: 'answer' },
      { limits: [] },
      { limits: [{}] },
      { limits: [{ messages: 1 }, { bytes: 1, window: '1m' }] },
      { limits: [{ messages: 1 }, { messages: 2, window: '1000ms' }] },
      { limits: [{ messages: 1 }], messages: 2 },
      { limits: [{ messages: 1 }], burst: 2 },
      { limits: [{ messages: 1, by: 'address' }] },
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
