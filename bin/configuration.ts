/** Where `foregate run` takes its configuration from: a file of its own, or Pushpin's. */
import { watchFile } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { loadConfig, loadText, type LoadedConfig } from '../gateway/config/load.ts';
import { parts } from '../gateway/parts.ts';
import { convertPushpin, type Converted } from './import.ts';

export interface ConfigurationOptions {
  readonly config: string;
  readonly pushpinConf?: string;
  readonly pushpinRoutes?: string;
}

export interface Configuration {
  readonly loaded: LoadedConfig;
  /** What of Pushpin's files is not taken over. */
  readonly findings: Converted['findings'];
}

/** @throws ConfigError for a configuration that is wrong, Error for a file that cannot be read */
export async function loadConfiguration({ config, pushpinConf, pushpinRoutes }: ConfigurationOptions): Promise<Configuration> {
  if (pushpinConf === undefined) return { loaded: await loadConfig(config, parts), findings: [] };
  const { text, findings, routeCount } = convertPushpin(pushpinConf, pushpinRoutes);
  if (routeCount === 0) throw new Error(`No route of ${pushpinConf} can be taken over; "foregate import pushpin" tells why.`);
  // Errors name a file that could be written: the one that `foregate import pushpin` makes.
  const written = resolve(dirname(pushpinConf), 'foregate.yaml');
  return { loaded: await loadText(written, text, parts), findings };
}

const lookEveryMs = 500;

/** Pushpin takes up a changed routes file by itself; ours waits for SIGHUP. */
export function watchRoutes({ pushpinConf, pushpinRoutes }: ConfigurationOptions, changed: () => void): void {
  if (pushpinConf === undefined) return;
  const { routesFile } = convertPushpin(pushpinConf, pushpinRoutes);
  watchFile(routesFile, { interval: lookEveryMs, persistent: false }, (now, before) => {
    if (now.mtimeMs !== before.mtimeMs || now.ino !== before.ino) changed();
  });
}
