/** Debian's Caddy as an API gateway: keys by their beginning, those revoked in a list; its refusals have no body at all. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { need } from '../support/debian.ts';
import { freePort, startProcess } from '../support/processes.ts';
import { gatewayIdleSeconds, type ChainGateway, type GatewayKind } from './chain-gateway.ts';
import { startRestartable } from './restartable.ts';

export const caddy: GatewayKind = {
  name: 'caddy',
  adapter: 'caddy',
  keyHeader: 'apikey',
  noKey: { status: 401, body: '', headers: { 'www-authenticate': /^Key realm="chain"$/ } },
  limitsBodies: true,
  revokedCode: 4403,
  lacks: ['no limits, rates or quotas, without a module that Debian does not have'],
  start: startCaddy,
};

async function startCaddy(backendOrigin: string): Promise<ChainGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'foregate-caddy-'));
  const [port, adminPort] = [await freePort(), await freePort()];
  const file = join(folder, 'Caddyfile');
  const revoked: string[] = [];
  const write = (): Promise<void> => writeFile(file, settings(port, adminPort, backendOrigin, revoked));
  await write();
  const env = { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const running = await startRestartable(
    () => startProcess(need('caddy'), ['run', '--config', file, '--adapter', 'caddyfile'], { env }),
    port,
    adminPort,
  );
  return {
    ...running,
    origin: `http://127.0.0.1:${port}`,
    newKey: async () => `key-${randomUUID()}`,
    freeKey: async () => `free-${randomUUID()}`,
    revoke: async (key) => {
      revoked.push(key);
      await write();
      await load(adminPort, settings(port, adminPort, backendOrigin, revoked));
    },
    stop: async () => {
      await running.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** It answers when the new settings are in force. */
async function load(adminPort: number, body: string): Promise<void> {
  const headers = { 'Content-Type': 'text/caddyfile' };
  const response = await fetch(`http://127.0.0.1:${adminPort}/load`, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`Caddy answered ${response.status}: ${await response.text()}`);
}

// Its own limit of bodies (`request_body`) comes out as a 502, so a length of six digits is looked for instead.
function settings(port: number, adminPort: number, backendOrigin: string, revoked: readonly string[]): string {
  return `
{
  admin 127.0.0.1:${adminPort}
  auto_https off
  log {
    level ERROR
  }
  servers {
    timeouts {
      idle ${gatewayIdleSeconds}s
    }
  }
}
http://:${port} {
  bind 127.0.0.1
  @nokey not header apikey *
  @unknown not header_regexp apikey ^(key|free)-
  @revoked header_regexp apikey ^(${['none', ...revoked].join('|')})$
  @large header_regexp Content-Length ^\\d{6,}$
  route {
    header @nokey WWW-Authenticate \`Key realm="chain"\`
    respond @nokey 401
    respond @unknown 403
    respond @revoked 403
    respond @large 413
    reverse_proxy ${backendOrigin} {
      trusted_proxies 127.0.0.1/32
      header_up X-Consumer-Username {http.request.header.apikey}
      flush_interval -1
    }
  }
}
`;
}
