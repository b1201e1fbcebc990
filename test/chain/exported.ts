/** nginx, HAProxy and Caddy, started on nothing but the files that `foregate export` wrote. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { foregate } from '../bin/command.ts';
import { need } from '../support/debian.ts';
import { freePort, runProcess, startProcess, waitForPort } from '../support/processes.ts';

export type ProxyName = 'nginx' | 'haproxy' | 'caddy';

export interface ExportedProxy {
  readonly folder: string;
  readonly port: number;
  readonly origin: string;
  /** The `foregate.yaml`. */
  readonly config: string;
  stop(): Promise<void>;
}

/** nginx in one process, so that nobody but the user of the tests needs to read the folder. */
const runs: Readonly<Record<ProxyName, (folder: string) => readonly string[]>> = {
  nginx: (folder) => ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr', '-g', 'daemon off; master_process off;'],
  haproxy: (folder) => ['-db', '-f', join(folder, 'haproxy.cfg')],
  caddy: (folder) => ['run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'],
};

const checks: Readonly<Record<ProxyName, (folder: string) => readonly string[]>> = {
  nginx: (folder) => ['-t', '-p', folder, '-c', 'nginx.conf', '-e', 'stderr'],
  haproxy: (folder) => ['-c', '-f', join(folder, 'haproxy.cfg')],
  caddy: (folder) => ['validate', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'],
};

/** `settings` makes the `foregate.yaml` for the address at which the program will listen. @throws Error if nothing was written */
export async function startExported(name: ProxyName, settings: (origin: string) => string): Promise<ExportedProxy> {
  const folder = await mkdtemp(join(tmpdir(), `foregate-${name}-`));
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const config = settings(origin);
  await writeFile(join(folder, 'foregate.yaml'), config);
  const { code, stderr } = await foregate(['export', name, '--with-secrets'], { cwd: folder });
  if (code !== 0) throw new Error(`foregate export ${name} ended with ${code}:\n${stderr}`);
  const started = startProcess(need(name), runs[name](folder), { env: homes(folder) });
  await waitForPort(port, started);
  return {
    folder,
    port,
    origin,
    config,
    stop: async () => {
      await started.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Has the program itself read the files in a folder. @throws Error with what it says, if it refuses them */
export async function checkExported(name: ProxyName, folder: string): Promise<void> {
  await runProcess(need(name), checks[name](folder), { env: homes(folder) });
}

/** Caddy keeps things in the home of whoever runs it. */
function homes(folder: string): Readonly<Record<string, string>> {
  return { HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
}
