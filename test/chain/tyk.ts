/** Tyk Gateway as it is installed on this machine, with Redis: keys that its own API makes, an exact limit per key, refusals in JSON. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, startProcess } from '../support/processes.ts';
import { startRedis } from '../support/redis.ts';
import { allowance, bodyBytes, gatewayIdleSeconds, type ChainGateway, type GatewayKind } from './chain-gateway.ts';
import { startRestartable } from './restartable.ts';

const refusal = (message: string): string => `{\n    "error": "${message}"\n}`;

export const tyk: GatewayKind = {
  name: 'tyk',
  adapter: 'tyk',
  keyHeader: 'authorization',
  noKey: { status: 401, body: refusal('Authorization field missing') },
  exhausted: { status: 429, body: refusal('Rate limit exceeded') },
  limitsBodies: true,
  revokedCode: 4403,
  opensBeforeReady: true,
  lacks: ['no WWW-Authenticate', 'no Retry-After', 'no wait for its APIs when it starts: events get 404 until they are loaded'],
  start: startTyk,
};

const secret = 'only-for-tests';
const installedAt = '/opt/tyk-gateway/tyk';

/** The program: `FOREGATE_TYK`, or where Tyk's own packages put it. @throws Error that says so */
function program(): string {
  const file = process.env['FOREGATE_TYK'] ?? installedAt;
  if (existsSync(file)) return file;
  throw new Error(`There is no Tyk at ${file}: install its package tyk-gateway, or name its program in FOREGATE_TYK.`);
}

async function startTyk(backendOrigin: string): Promise<ChainGateway> {
  const running = await launchTyk({ 'chain.json': JSON.stringify(api(backendOrigin)) });
  const start = async (): Promise<void> => {
    await running.start();
    await loaded(running.origin);
  };
  await start();
  return {
    ...running,
    start,
    newKey: () => createKey(running.origin, 'chain', { rate: allowance, per: 60 }),
    freeKey: () => createKey(running.origin, 'chain', { rate: 0, per: 0 }),
    revoke: async (key) => {
      await admin(running.origin, 'DELETE', `keys/${key}`);
    },
  };
}

/** Tyk and its Redis, started. `definitions`: what is in `app_path`, by the names of the files. */
export async function launchTyk(definitions: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(join(tmpdir(), 'foregate-tyk-'));
  const [port, redis] = [await freePort(), await startRedis()];
  for (const name of ['apps', 'templates', 'middleware', 'policies']) await mkdir(join(folder, name));
  await writeFile(join(folder, 'policies', 'policies.json'), '{}');
  await writeFile(join(folder, 'templates', 'error.json'), '{\n    "error": "{{.Message}}"\n}');
  await writeFile(join(folder, 'tyk.conf'), JSON.stringify(settings(port, redis.port, folder)));
  for (const [name, text] of Object.entries(definitions)) await writeFile(join(folder, 'apps', name), text);
  const launch = () => startProcess(program(), ['--conf', join(folder, 'tyk.conf')], { cwd: folder });
  const running = await startRestartable(launch, port);
  return {
    ...running,
    origin: `http://127.0.0.1:${port}`,
    stop: async () => {
      await running.stop();
      await redis.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** It listens before it has read its APIs. */
async function loaded(origin: string): Promise<void> {
  const deadline = Date.now() + 15_000;
  while ((await fetch(`${origin}/`)).status === 404) {
    if (Date.now() > deadline) throw new Error('Tyk does not load its API.');
  }
}

/** A key for one API. */
export async function createKey(
  origin: string,
  id: string,
  limit: { readonly rate: number; readonly per: number },
): Promise<string> {
  const rights = { [id]: { api_id: id, api_name: id, versions: ['Default'] } };
  const body = { ...limit, allowance: limit.rate, quota_max: -1, org_id: 'default', access_rights: rights };
  const { key } = (await admin(origin, 'POST', 'keys/create', body)) as { key: string }; // Tyk's own answer.
  return key;
}

export async function admin(origin: string, method: string, path: string, body?: object): Promise<unknown> {
  const headers = { 'x-tyk-authorization': secret };
  const response = await fetch(`${origin}/tyk/${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  if (!response.ok) throw new Error(`Tyk answered ${response.status}: ${await response.text()}`);
  return response.json();
}

// `enable_redis_rolling_limiter`: the default limiter lets more through. Sessions are not cached, so that a key ends at once.
function settings(port: number, redisPort: number, folder: string): object {
  return {
    listen_address: '127.0.0.1',
    listen_port: port,
    secret,
    node_secret: secret,
    template_path: join(folder, 'templates'),
    middleware_path: join(folder, 'middleware'),
    app_path: join(folder, 'apps'),
    use_db_app_configs: false,
    policies: { policy_source: 'file', policy_record_name: join(folder, 'policies', 'policies.json') },
    storage: { type: 'redis', host: '127.0.0.1', port: redisPort },
    enable_redis_rolling_limiter: true,
    local_session_cache: { disable_cached_session_state: true },
    http_server_options: { read_timeout: gatewayIdleSeconds, write_timeout: 30, flush_interval: 1 },
    max_idle_connections_per_host: 100,
    hash_keys: false,
    enable_analytics: false,
    log_level: 'error',
  };
}

const ofEvents = { path: '/close/', method: 'POST', size_limit: bodyBytes };

function api(backendOrigin: string): object {
  return {
    name: 'chain',
    api_id: 'chain',
    org_id: 'default',
    active: true,
    use_keyless: false,
    use_standard_auth: true,
    auth: { auth_header_name: 'Authorization' },
    definition: { location: 'header', key: 'version' },
    version_data: {
      not_versioned: true,
      // Of events only: a request without a length, such as a GET, gets 411 where there is a limit.
      versions: { Default: { name: 'Default', use_extended_paths: true, extended_paths: { size_limits: [ofEvents] } } },
    },
    proxy: { listen_path: '/', target_url: backendOrigin, strip_listen_path: false, preserve_host_header: true },
  };
}
