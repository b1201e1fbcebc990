/** The gateway under test: started as a command on files of its own, or one that runs already. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { freePort, startProcess, waitForPort } from '../support/processes.ts';
import { writeFiles, type Ports } from './files.ts';

/** Whose ways the gateway is expected to have where ways are meant to differ. */
export type Kind = 'foregate' | 'pushpin';

export interface Gateway {
  readonly kind: Kind;
  readonly clientHost: string;
  readonly clientPort: number;
  readonly controlHost: string;
  readonly controlPort: number;
  /** Where a route leads on which a case may start a backend of its own: one for each, since they run together. */
  readonly sparePort: number;
  readonly otherSparePort: number;
  /** Of its files; undefined for one that runs already. */
  readonly folder?: string;
  /** Takes TLS; undefined for one that runs already. */
  readonly tlsPort?: number;
  readonly metricsPort?: number;
  /** What it has written, for whoever looks for a fault. */
  output(): string;
  stop(): Promise<void>;
}

/** Starts Foregate or Pushpin in front of the backend's port. @throws Error with what is missing */
export async function startGateway(kind: Kind, backend: number): Promise<Gateway> {
  if (kind === 'pushpin') needPushpin();
  const [client = 0, tls = 0, control = 0, metrics = 0, closed = 0, spare = 0, otherSpare = 0] = await Promise.all(
    Array.from({ length: 7 }, freePort),
  );
  const ports: Ports = { client, tls, control, metrics, backend, spare, otherSpare, closed };
  const { folder, conf } = await writeFiles(ports);
  const processes = kind === 'pushpin' ? await startPushpin(folder, conf) : startForegate(conf);
  const stop = async (): Promise<void> => {
    for (const started of processes) await started.stop('SIGTERM', 5000);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all([client, control].map((port) => waitForPort(port, processes.at(-1), 20_000)));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    kind,
    clientHost: '127.0.0.1',
    clientPort: client,
    controlHost: '127.0.0.1',
    controlPort: control,
    sparePort: spare,
    otherSparePort: otherSpare,
    folder,
    tlsPort: tls,
    metricsPort: metrics,
    output: () => processes.map((started) => started.output()).join(''),
    stop,
  };
}

/** One that runs already, with the suite's routes, targets at the backend's port, and the spare one behind it. */
export function runningGateway(kind: Kind, clientUrl: string, controlUrl: string, backend: number): Gateway {
  const [client, control] = [new URL(clientUrl), new URL(controlUrl)];
  return {
    kind,
    clientHost: client.hostname,
    clientPort: Number(client.port || 80),
    controlHost: control.hostname,
    controlPort: Number(control.port || 80),
    sparePort: backend + 1,
    otherSparePort: backend + 2,
    output: () => '',
    stop: () => Promise.resolve(),
  };
}

function startForegate(conf: string): ReturnType<typeof startProcess>[] {
  const program = join(import.meta.dirname, '..', '..', 'bin', 'foregate.ts');
  return [startProcess(process.execPath, [program, 'run', '--pushpin-conf', conf])];
}

function needPushpin(): void {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const missing = ['pushpin', 'condure', 'zurl'].filter((name) => !folders.some((folder) => existsSync(join(folder, name))));
  if (missing.length === 0) return;
  throw new Error(`Pushpin is not installed (no ${missing.join(', ')}): apt-get install -y --no-install-recommends pushpin`);
}

/** Pushpin's launcher starts all but zurl, its HTTP client, which has to have sockets of its own. */
async function startPushpin(folder: string, conf: string): Promise<ReturnType<typeof startProcess>[]> {
  const sockets = join(folder, 'zurl');
  await mkdir(sockets);
  const internal = await readFile('/usr/lib/pushpin/internal.conf', 'utf8');
  await writeFile(join(folder, 'internal.conf'), internal.replaceAll('ipc:///var/run/zurl/', `ipc://${sockets}/`));
  await writeFile(join(folder, 'zurl.conf'), zurlConf(sockets));
  const zurl = startProcess('zurl', [`--config=${join(folder, 'zurl.conf')}`, '--loglevel=1']);
  const pushpin = startProcess('pushpin', [`--config=${conf}`, '--merge-output']);
  return [zurl, pushpin];
}

function zurlConf(sockets: string): string {
  return `[General]
instance_id=
in_spec=ipc://${sockets}/zurl-in
in_stream_spec=ipc://${sockets}/zurl-in-stream
out_spec=ipc://${sockets}/zurl-out
in_req_spec=ipc://${sockets}/zurl-req
ipc_file_mode=660
defpolicy=allow
allow=
deny=
max_open_requests=1000
buffer_size=200000
timeout=600
in_hwm=1000
out_hwm=1000
`;
}
