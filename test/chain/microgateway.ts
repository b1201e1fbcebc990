/** Apigee's gateway for Node (microgateway-core): keys that a stub of its cloud service verifies, a quota per application. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, startProcess } from '../support/processes.ts';
import { allowance, type ChainGateway, type GatewayKind } from './chain-gateway.ts';
import { startRestartable } from './restartable.ts';

export const microgateway: GatewayKind = {
  name: 'microgateway',
  adapter: 'apigee',
  keyHeader: 'x-api-key',
  noKey: { status: 401, body: '{"error":"missing_authorization","error_description":"Missing API Key header"}' },
  exhausted: {
    status: 403,
    body: '{"message":"exceeded quota","status":403}',
    headers: { 'x-ratelimit-limit': new RegExp(`^${allowance}$`), 'x-ratelimit-reset': /^\d+$/ },
  },
  limitsBodies: false,
  revokedCode: 4403,
  lacks: ['no limit of bodies', 'no WWW-Authenticate', 'no Retry-After'],
  start: startMicrogateway,
};

/** `spikesPerSecond`: it lets requests through that are so far apart, whoever sends them. */
export async function startMicrogateway(backendOrigin: string, spikesPerSecond?: number): Promise<ChainGateway> {
  const [port, verifierPort] = [await freePort(), await freePort()];
  const folder = await mkdtemp(join(tmpdir(), 'foregate-microgateway-'));
  const program = join(import.meta.dirname, 'microgateway-process.ts');
  const terms = JSON.stringify({ port, verifierPort, backendOrigin, quota: allowance, spikesPerSecond });
  const running = await startRestartable(
    () => startProcess(process.execPath, ['--no-deprecation', program, terms], { cwd: folder }),
    port,
  );
  return {
    ...running,
    origin: `http://127.0.0.1:${port}`,
    newKey: async () => `key-${randomUUID()}`,
    freeKey: async () => `free-${randomUUID()}`,
    revoke: async (key) => {
      await fetch(`http://127.0.0.1:${verifierPort}/revoke`, { method: 'POST', body: JSON.stringify({ apiKey: key }) });
    },
    stop: async () => {
      await running.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
