/** `foregate run`: the program itself, and what it makes of signals. */
import { Command } from 'commander';
import type { LoadedConfig } from '../gateway/config/load.ts';
import { ConfigError } from '../gateway/config/report.ts';
import type { Log } from '../gateway/core/log.ts';
import type { Foregate } from '../gateway/foregate.ts';
import { loadConfiguration, watchRoutes, type Configuration, type ConfigurationOptions } from './configuration.ts';
import { messageOf } from './exit.ts';
import { createLog } from './log.ts';
import { configOption, parsePort } from './options.ts';

interface RunOptions extends ConfigurationOptions {
  readonly port?: number;
}

export function runCommand(): Command {
  return new Command('run')
    .description('Starts Foregate. SIGHUP reads the configuration again, SIGTERM and SIGINT stop.')
    .addOption(configOption())
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
  const { loaded, findings } = await load(options);
  const log = createLog(loaded.settings.log);
  tellFindings(findings, log);
  tellTrust(loaded, log);
  // Only here: no other command needs the servers, and they take longest to load.
  const { createForegate } = await import('../gateway/foregate.ts');
  const foregate = await createForegate(loaded, { log });
  try {
    await foregate.start();
  } catch (error) {
    await foregate.stop();
    throw error;
  }
  // Who reads the addresses may send a signal at once.
  stopOnSignals(foregate, log);
  reloadOnSignal(foregate, log, options);
  for (const address of foregate.addresses.clients) log.info('listening', { for: 'clients', address });
  log.info('listening', { for: 'control', address: foregate.addresses.control });
  const { metrics } = foregate.addresses;
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

async function load(options: RunOptions): Promise<Configuration> {
  const { loaded, findings } = await loadConfiguration(options);
  return { loaded: options.port === undefined ? loaded : withPort(loaded, options.port), findings };
}

function withPort(loaded: LoadedConfig, port: number): LoadedConfig {
  const listen = loaded.settings.listen.map((listener, index) => (index === 0 ? onPort(listener, port) : listener));
  return { ...loaded, settings: { ...loaded.settings, listen } };
}

/** Also in place of a Unix socket. */
function onPort({ socket, socketMode, ...listener }: Listen, port: number): Listen {
  return { ...listener, port };
}

type Listen = LoadedConfig['settings']['listen'][number];

function reloadOnSignal(foregate: Foregate, log: Log, options: RunOptions): void {
  // One after the other: two signals in a row must not compile two configurations side by side.
  let busy: Promise<void> = Promise.resolve();
  const next = (): void => {
    busy = busy.then(() => reload(foregate, log, options));
  };
  process.on('SIGHUP', next);
  watchRoutes(options, next);
}

/** A configuration that is wrong changes nothing. */
async function reload(foregate: Foregate, log: Log, options: RunOptions): Promise<void> {
  try {
    log.info('config.reloaded', { ...(await foregate.reload((await load(options)).loaded)) });
  } catch (error) {
    if (error instanceof ConfigError) return log.error('config.refused', { problems: error.message.split('\n') });
    log.error('config.refused', { error });
  }
}

function stopOnSignals(foregate: Foregate, log: Log): void {
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1);
    stopping = true;
    log.info('stopping', { signal });
    foregate.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(messageOf(error));
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}
