/** Cases for the contract of policies, by the name of the policy: each of policies/index.ts needs some. */
import { generateKeyPairSync } from 'node:crypto';
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

const arrive = (headers: readonly string[] = []): RecordedEvent => ({ at: 0, kind: 'connect', request: { headers } });
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
    allow: { options: { secret }, events: [arrive(['Authorization', `Bearer ${token}`]), say('hello')] },
    deny: { options: { secret }, events: [arrive(['Authorization', `Bearer ${token}x`])], code: 'unauthorized' },
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
    allow: { options: { keys: [{ key: 'k1', name: 'shop' }] }, events: [arrive(['X-API-Key', 'k1'])] },
    deny: { options: { keys: [{ key: 'k1', name: 'shop' }] }, events: [arrive(['X-API-Key', 'k2'])], code: 'unauthorized' },
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
    allow: { options: { messages: 20 }, events: [arrive(), say('hello')] },
    deny: { options: { messages: 1 }, events: [arrive(), say('one'), say('two')], code: 'rate-limited' },
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
