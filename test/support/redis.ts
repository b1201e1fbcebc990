/** Debian's redis-server at a free port of the loopback, with nothing kept on disk: it can be killed and started again. */
import { tmpdir } from 'node:os';
import { need } from './debian.ts';
import { freePort, startProcess, waitForPort, type Process } from './processes.ts';

export interface RedisServer {
  readonly port: number;
  /** With the password, if there is one; `rediss:` with TLS. */
  readonly url: string;
  readonly pid: number;
  /** Ends it as a crash would: what it had counted is gone. */
  kill(): Promise<void>;
  /** Starts it at the same port. */
  start(): Promise<void>;
}

export interface RedisTerms {
  readonly password?: string;
  readonly port?: number;
  /** Files for TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

export async function startRedis({ password, tls, ...terms }: RedisTerms = {}): Promise<RedisServer> {
  const port = terms.port ?? (await freePort());
  const args = [
    ...(tls === undefined
      ? ['--port', String(port)]
      : ['--port', '0', '--tls-port', String(port), '--tls-cert-file', tls.cert, '--tls-key-file', tls.key]),
    ...(password === undefined ? [] : ['--requirepass', password]),
    '--tls-auth-clients',
    'no',
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--dir',
    tmpdir(),
  ];
  const start = async (): Promise<Process> => {
    const started = startProcess(need('redis-server'), args);
    await waitForPort(port, started);
    return started;
  };
  let running = await start();
  return {
    port,
    url: `${tls === undefined ? 'redis' : 'rediss'}://${password === undefined ? '' : `:${password}@`}127.0.0.1:${port}`,
    get pid() {
      return running.pid;
    },
    kill: () => running.stop('SIGKILL'),
    start: async () => {
      running = await start();
    },
  };
}
