/** Apigee's gateway for Node (microgateway-core): keys that a stub of its cloud service verifies, a quota per application. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, startProcess, waitForPort } from '../support/processes.ts';
import { allowance, type ChainGateway } from './chain-gateway.ts';

export async function startMicrogateway(backendOrigin: string): Promise<ChainGateway> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'foregate-microgateway-'));
  const program = join(import.meta.dirname, 'microgateway-process.ts');
  const running = startProcess(process.execPath, ['--no-deprecation', program, String(port), backendOrigin, String(allowance)], {
    cwd: folder,
  });
  await waitForPort(port, running, 30_000);
  return {
    name: 'microgateway',
    origin: `http://127.0.0.1:${port}`,
    keyHeader: 'x-api-key',
    newKey: async () => `key-${randomUUID()}`,
    noKey: { status: 401, body: '{"error":"missing_authorization","error_description":"Missing API Key header"}' },
    exhausted: { status: 403, body: '{"message":"exceeded quota","status":403}' },
    stop: async () => {
      await running.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
