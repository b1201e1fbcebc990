/** express-gateway: keys of users that its admin API makes and keeps in Redis, an allowance per user, refusals in text. */
import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort, startProcess } from '../support/processes.ts';
import { startRedis } from '../support/redis.ts';
import { allowance, type ChainGateway, type GatewayKind } from './chain-gateway.ts';
import { requireGateway } from './gateways.ts';
import { startRestartable } from './restartable.ts';

export const expressGateway: GatewayKind = {
  name: 'express-gateway',
  adapter: 'generic',
  keyHeader: 'apikey',
  noKey: { status: 401, body: 'Unauthorized' },
  exhausted: {
    status: 429,
    eventsStatus: 406,
    body: 'Too many requests, please try again later.',
    headers: { 'retry-after': /^\d+$/, 'x-ratelimit-remaining': /^0$/ },
  },
  limitsBodies: false,
  revokedCode: 4401,
  lacks: [
    'no quota beside its rate',
    'no 429 where only events are accepted but a 406',
    'no limit of bodies',
    'no WWW-Authenticate',
  ],
  start: startExpressGateway,
};

async function startExpressGateway(backendOrigin: string): Promise<ChainGateway> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const folder = await mkdtemp(join(tmpdir(), 'foregate-express-gateway-'));
  const redis = await startRedis(); // What it keeps in its own memory instead would be gone with a restart.
  await writeSettings(folder, gatewaySettings(port, adminPort, backendOrigin), systemSettings(redis.port));
  const program = join(import.meta.dirname, 'express-gateway-process.ts');
  const running = await startRestartable(
    () => startProcess(process.execPath, ['--no-deprecation', program, folder]),
    port,
    adminPort,
  );
  const admin = `http://127.0.0.1:${adminPort}`;
  return {
    ...running,
    origin: `http://127.0.0.1:${port}`,
    newKey: () => createKey(admin, 'key'),
    freeKey: () => createKey(admin, 'free'),
    revoke: (key) => call('PUT', `${admin}/credentials/key-auth/${key.split(':', 1)[0]}/status`, { status: false }),
    stop: async () => {
      await running.stop();
      await redis.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function writeSettings(folder: string, gateway: unknown, system: unknown): Promise<void> {
  // Its files are YAML, and JSON is YAML.
  await writeFile(join(folder, 'gateway.config.yml'), JSON.stringify(gateway));
  await writeFile(join(folder, 'system.config.yml'), JSON.stringify(system));
  await cp(join(dirname(requireGateway.resolve('express-gateway/lib/config')), 'models'), join(folder, 'models'), {
    recursive: true,
  });
}

const systemSettings = (redisPort: number): unknown => ({
  db: { redis: { host: '127.0.0.1', port: redisPort, namespace: 'EG' } },
  crypto: { cipherKey: 'only for tests', algorithm: 'aes256', saltRounds: 1 },
  session: { secret: 'only for tests', resave: false, saveUninitialized: false },
  accessTokens: { timeToExpiry: 7_200_000 },
  refreshTokens: { timeToExpiry: 7_200_000 },
  authorizationCodes: { timeToExpiry: 300_000 },
});

const isCounted = { name: 'expression', expression: "req.user.username.indexOf('key-') === 0" };
// `delayMs: 0`, or it also delays every request after the first.
const perUser = { max: allowance, windowMs: 60_000, delayMs: 0, rateLimitBy: '${req.user.id}' };

function gatewaySettings(port: number, adminPort: number, backendOrigin: string): unknown {
  return {
    http: { port, hostname: '127.0.0.1' },
    admin: { port: adminPort, host: '127.0.0.1' },
    apiEndpoints: { all: { host: '*', paths: '/*' } },
    serviceEndpoints: { backend: { url: backendOrigin } },
    policies: ['key-auth', 'rate-limit', 'proxy'],
    pipelines: {
      default: {
        apiEndpoints: ['all'],
        policies: [
          { 'key-auth': [{ action: { apiKeyHeader: 'apikey', disableHeadersScheme: true } }] },
          { 'rate-limit': [{ condition: isCounted, action: perUser }] },
          { proxy: [{ action: { serviceEndpoint: 'backend', changeOrigin: false } }] },
        ],
      },
    },
  };
}

async function createKey(admin: string, kind: 'key' | 'free'): Promise<string> {
  const username = `${kind}-${randomUUID()}`;
  await call('POST', `${admin}/users`, { username, firstname: 'Test', lastname: 'User' });
  const credential = { keyId: randomUUID(), keySecret: randomUUID() };
  await call('POST', `${admin}/credentials`, { consumerId: username, type: 'key-auth', credential });
  return `${credential.keyId}:${credential.keySecret}`;
}

async function call(method: 'POST' | 'PUT', url: string, body: unknown): Promise<void> {
  const headers = { 'Content-Type': 'application/json' };
  const response = await fetch(url, { method, headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
}
