/**
 * Started as a process of its own by `microgateway.ts`: Apigee's gateway for Node with its key check and quota. The cloud service
 * that would know the keys is a small server in here; it accepts every key that begins with `key-`, each an application of its own with a quota, or
 * `free-`, without one, until it is told that the key is revoked.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import jwt from 'jsonwebtoken';
import { requireGateway } from './gateways.ts';

type PluginSettings = Readonly<Record<string, { readonly allow?: unknown } | null>>;
type MakePlugin = (settings: PluginSettings, logger: unknown, stats: unknown) => unknown;

interface Microgateway {
  addPlugin(name: string, make: MakePlugin): void;
  start(done: (error?: Error) => void): void;
}

interface Terms {
  readonly port: number;
  readonly verifierPort: number;
  readonly backendOrigin: string;
  readonly quota: number;
  readonly spikesPerSecond?: number;
}

const products = { key: 'gold', free: 'unlimited' } as const;
const all = Object.values(products);
const terms = JSON.parse(process.argv[2] ?? '') as Terms; // Our own test wrote it.
const { port, verifierPort, backendOrigin, quota, spikesPerSecond } = terms;
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

const makeGateway = requireGateway('microgateway-core') as (settings: unknown) => Microgateway; // It has no types.
const gateway = makeGateway({
  edgemicro: {
    address: '127.0.0.1',
    port,
    request_timeout: 10,
    logging: { level: 'none', dir: '.', to_console: true },
    plugins: {},
  },
  headers: { 'x-forwarded-for': true, 'x-forwarded-host': true, 'x-request-id': true, via: true },
  proxies: [{ name: 'all', base_path: '/', url: `${backendOrigin}/`, max_connections: 1000 }],
  apikeys: {
    verify_api_key_url: await startVerifier(privateKey, verifierPort),
    public_key: publicKey.export({ type: 'spki', format: 'pem' }),
    product_to_proxy: Object.fromEntries(all.map((product) => [product, ['all']])),
    product_to_api_resource: Object.fromEntries(all.map((product) => [product, ['/']])),
  },
  'quota-memory': { [products.key]: { allow: quota, interval: 1, timeUnit: 'minute' } },
  ...(spikesPerSecond !== undefined && { spikearrest: { timeUnit: 'second', allow: spikesPerSecond } }),
});
if (spikesPerSecond !== undefined) gateway.addPlugin('spikearrest', pluginOf('spikearrest'));
gateway.addPlugin('apikeys', pluginOf('apikeys'));
// The loader adds members that are null, and the plugin stumbles over them.
gateway.addPlugin('quota-memory', (settings, logger, stats) => pluginOf('quota-memory')(withAllowance(settings), logger, stats));
gateway.start((error) => {
  if (error) throw error;
});

function pluginOf(name: string): MakePlugin {
  const { init } = requireGateway(`microgateway-plugins/${name}`) as { init: MakePlugin }; // It has no types.
  return init;
}

function withAllowance(settings: PluginSettings): PluginSettings {
  return Object.fromEntries(Object.entries(settings).filter(([, entry]) => entry?.allow !== undefined));
}

/** The service that turns a key into a token, and is told of those that are revoked; its address. */
async function startVerifier(key: KeyObject, ownPort: number): Promise<string> {
  const revoked = new Set<string>();
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      const { apiKey } = JSON.parse(body) as { apiKey: string }; // The gateway's own request, or the test's.
      if (request.url === '/revoke') revoked.add(apiKey);
      const product = revoked.has(apiKey) ? undefined : productOf(apiKey);
      if (product === undefined) return response.writeHead(403).end('{}');
      const claims = { application_name: apiKey, client_id: apiKey, api_product_list: [product] };
      const token = jwt.sign(claims, key, { algorithm: 'RS256', expiresIn: '1h' });
      return response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ token }));
    });
  });
  server.listen(ownPort, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${ownPort}/verify`;
}

function productOf(apiKey: string): string | undefined {
  if (apiKey.startsWith('key-')) return products.key;
  return apiKey.startsWith('free-') ? products.free : undefined;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  return body;
}
