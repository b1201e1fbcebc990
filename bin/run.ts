/** `foregate run`: the program itself, in one process or in several, and what it makes of signals. */
import cluster from 'node:cluster';
import { Command } from 'commander';
import { documentWarnings, problemLine } from '../gateway/config/document-warnings.ts';
import { changeLine, limitWarnings } from '../gateway/config/gateway-limits.ts';
import { listenerSettings } from '../gateway/config/listeners.ts';
import type { LoadedConfig } from '../gateway/config/load.ts';
import { ConfigError } from '../gateway/core/problem.ts';
import { toMs } from '../gateway/core/duration.ts';
import type { Log } from '../gateway/core/log.ts';
import type { Foregate, Reloaded } from '../gateway/foregate.ts';
import { clearPlace } from '../gateway/front/unix-socket.ts';
import {
  loadConfiguration,
  readConfiguration,
  watchRoutes,
  type Configuration,
  type ConfigurationOptions,
  type ConfigurationText,
} from './configuration.ts';
import { messageOf } from './exit.ts';
import { createLog } from './log.ts';
import { asyncApiOption, configOption, openApiOption, parsePort } from './options.ts';
import { workerVariable } from './worker-messages.ts';

interface RunOptions extends ConfigurationOptions {
  readonly port?: number;
}

export function runCommand(): Command {
  return new Command('run')
    .description('Starts Foregate. SIGHUP reads the configuration again, SIGTERM and SIGINT stop.')
    .addOption(configOption())
    .addOption(openApiOption())
    .addOption(asyncApiOption())
    .option(
      '-p, --port <number>',
      'the port for clients, instead of the first in the configuration; 0 takes any free one',
      parsePort,
    )
    .option('--pushpin-conf <file>', "Pushpin's pushpin.conf, instead of a configuration of ours; its routes file is watched")
    .option('--pushpin-routes <file>', 'the routes file, instead of the one that pushpin.conf names')
    .action(run);
}

async function run(options: RunOptions): Promise<void> {
  const load = (configuration: ConfigurationText): Promise<LoadedConfig> => loadConfiguration(configuration, options.port);
  const number = process.env[workerVariable];
  if (cluster.isWorker && number !== undefined) return (await import('./worker.ts')).runWorker({ number: Number(number), load });
  const cameEarly = awaitReload();
  const { findings, ...configuration } = await readConfiguration(options);
  const loaded = await load(configuration);
  const log = createLog(loaded.settings.log);
  tellFindings(findings, log);
  tellTrust(loaded, log);
  tellLimits(loaded, log);
  tellDocuments(loaded, log);
  const running = loaded.settings.workers === 1 ? await runAlone(loaded, log) : await runWorkers(loaded, configuration, log);
  // Who reads the addresses may send a signal at once.
  stopOnSignals(running, log);
  reloadOnSignal(options, log, async () => {
    const { findings: _, ...next } = await readConfiguration(options);
    return running.reload(await load(next), next);
  });
  if (cameEarly()) process.emit('SIGHUP');
  tellAddresses(running.addresses, log);
}

/** The program, in one process or in several. */
interface Running {
  readonly addresses: Foregate['addresses'];
  /** @throws Error without any effect */
  reload(loaded: LoadedConfig, configuration: ConfigurationText): Promise<Reloaded>;
  /** Resolves with the code to end with. */
  stop(): Promise<number>;
}

async function runAlone(loaded: LoadedConfig, log: Log): Promise<Running> {
  // Only here: no other command needs the servers, and they take longest to load.
  const { createForegate } = await import('../gateway/foregate.ts');
  const foregate = await createForegate(loaded, { log });
  try {
    await foregate.start();
  } catch (error) {
    await foregate.stop();
    throw error;
  }
  return {
    addresses: foregate.addresses,
    reload: (next) => foregate.reload(next),
    stop: () => foregate.stop().then(() => 0),
  };
}

/** What a worker may take beyond the drain time before it is ended: it ends what is open by itself in less. */
const stopGraceMs = 5000;

async function runWorkers(loaded: LoadedConfig, configuration: ConfigurationText, log: Log): Promise<Running> {
  const { workers: count, drain } = loaded.settings;
  const { Workers } = await import('./workers.ts');
  const workers = new Workers({ count, configuration, log });
  tellPolls(loaded, log);
  await clearSockets(loaded);
  const addresses = await workers.start();
  return {
    addresses,
    reload: (_, next) => workers.reload(next),
    stop: () => workers.stop(toMs(drain) + stopGraceMs),
  };
}

/** The primary makes Unix sockets, for all workers: nobody but their owner can connect until a worker has set the mode. */
async function clearSockets(loaded: LoadedConfig): Promise<void> {
  const paths = listenerSettings(loaded).flatMap(({ at }) => ('socket' in at ? [at.socket] : []));
  for (const path of paths) await clearPlace(path);
  if (paths.length > 0) process.umask(0o177);
}

/** Whose requests come by several connections may come to several workers. */
function tellPolls({ settings }: LoadedConfig, log: Log): void {
  const routes = settings.routes.filter(({ sockjs }) => sockjs !== undefined).map(({ id }) => id);
  if (routes.length > 0)
    log.warn('workers.sockjs', { routes, message: 'SockJS clients that poll need one worker; those with WebSockets do not.' });
}

function tellAddresses({ clients, control, metrics }: Foregate['addresses'], log: Log): void {
  for (const address of clients) log.info('listening', { for: 'clients', address });
  log.info('listening', { for: 'control', address: control });
  if (metrics !== undefined) log.info('listening', { for: 'metrics', address: metrics });
}

/** What works as before needs no words. */
function tellFindings(findings: Configuration['findings'], log: Log): void {
  for (const { verdict, ...what } of findings) {
    if (verdict === 'refused') log.warn('pushpin.refused', what);
    if (verdict === 'ignored') log.info('pushpin.ignored', what);
  }
}

/** Pushpin's way, and so that of its configuration; elsewhere mostly a mistake. */
function tellTrust({ settings: { forwarded, trustedProxies } }: LoadedConfig, log: Log): void {
  if ((forwarded !== undefined && trustedProxies.length === 0) || trustedProxies.some((range) => range.endsWith('/0')))
    log.warn('proxies.everybody', {
      detail: 'Every client may say by X-Forwarded-For who it is; name your proxies in trustedProxies.',
    });
}

/** What the gateways of the routes would cut off, unless they are set up otherwise. */
function tellLimits(loaded: LoadedConfig, log: Log): void {
  for (const { changes, ...warning } of limitWarnings(loaded))
    log.warn('gateway.limit', { ...warning, changes: changes.map(changeLine) });
}

/** A large document may have thousands: the log has the first, and how many there are. */
function tellDocuments(loaded: LoadedConfig, log: Log): void {
  const [first, ...more] = documentWarnings(loaded);
  if (first === undefined) return;
  const all = more.length > 0 ? { more: more.length, all: 'foregate check' } : {};
  log.warn('document.remark', { text: problemLine(first).replace(/^warning: /, ''), ...all });
}

/** A signal that comes while the program starts would end it; gives whether one came, once it is waited for elsewhere. */
function awaitReload(): () => boolean {
  let came = false;
  const note = (): void => {
    came = true;
  };
  process.on('SIGHUP', note);
  return () => {
    process.off('SIGHUP', note);
    return came;
  };
}

function reloadOnSignal(options: RunOptions, log: Log, reload: () => Promise<Reloaded>): void {
  // One after the other: two signals in a row must not compile two configurations side by side.
  let busy: Promise<void> = Promise.resolve();
  const next = (): void => {
    busy = busy.then(() => tellReload(log, reload));
  };
  process.on('SIGHUP', next);
  watchRoutes(options, next);
}

/** A configuration that is wrong changes nothing. */
async function tellReload(log: Log, reload: () => Promise<Reloaded>): Promise<void> {
  try {
    log.info('config.reloaded', { ...(await reload()) });
  } catch (error) {
    if (error instanceof ConfigError) return log.error('config.refused', { problems: error.message.split('\n') });
    log.error('config.refused', { error });
  }
}

function stopOnSignals(running: Running, log: Log): void {
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1);
    stopping = true;
    log.info('stopping', { signal });
    running.stop().then(
      (code) => process.exit(code),
      (error: unknown) => {
        console.error(messageOf(error));
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}
