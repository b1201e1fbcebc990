/** express-gateway: keys of users that its admin API makes, an allowance per user, refusals in text. */
import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort, startProcess, waitForPort } from '../support/processes.ts';
import { allowance, type ChainGateway } from './chain-gateway.ts';
import { requireGateway } from './gateways.ts';

export async function startExpressGateway(backendOrigin: string): Promise<ChainGateway> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const folder = await mkdtemp(join(tmpdir(), 'foregate-express-gateway-'));
  await writeSettings(folder, gatewaySettings(port, adminPort, backendOrigin));
  const running = startProcess(process.execPath, [
    '--no-deprecation',
    join(import.meta.dirname, 'express-gateway-process.ts'),
    folder,
  ]);
  await waitForPort(port, running, 30_000);
  await waitForPort(adminPort, running);
  return {
    name: 'express-gateway',
    origin: `http://127.0.0.1:${port}`,
    keyHeader: 'apikey',
    newKey: () => createKey(`http://127.0.0.1:${adminPort}`),
    noKey: { status: 401, body: 'Unauthorized' },
    exhausted: { status: 429, body: 'Too many requests, please try again later.' },
    stop: async () => {
      await running.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function writeSettings(folder: string, gateway: unknown): Promise<void> {
  // Its files are YAML, and JSON is YAML.
  await writeFile(join(folder, 'gateway.config.yml'), JSON.stringify(gateway));
  await writeFile(join(folder, 'system.config.yml'), JSON.stringify(systemSettings));
  await cp(join(dirname(requireGateway.resolve('express-gateway/lib/config')), 'models'), join(folder, 'models'), {
    recursive: true,
  });
}

const systemSettings = {
  db: { redis: { emulate: true, namespace: 'EG' } },
  crypto: { cipherKey: 'only for tests', algorithm: 'aes256', saltRounds: 1 },
  session: { secret: 'only for tests', resave: false, saveUninitialized: false },
  accessTokens: { timeToExpiry: 7_200_000 },
  refreshTokens: { timeToExpiry: 7_200_000 },
  authorizationCodes: { timeToExpiry: 300_000 },
};

// `delayMs: 0`, or its limit also delays every request after the first.
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
          { 'rate-limit': [{ action: { max: allowance, windowMs: 60_000, delayMs: 0, rateLimitBy: '${req.user.id}' } }] },
          { proxy: [{ action: { serviceEndpoint: 'backend', changeOrigin: false } }] },
        ],
      },
    },
  };
}

async function createKey(admin: string): Promise<string> {
  const username = `user-${randomUUID()}`;
  await post(`${admin}/users`, { username, firstname: 'Test', lastname: 'User' });
  const credential = { keyId: randomUUID(), keySecret: randomUUID() };
  await post(`${admin}/credentials`, { consumerId: username, type: 'key-auth', credential });
  return `${credential.keyId}:${credential.keySecret}`;
}

async function post(url: string, body: unknown): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
}
