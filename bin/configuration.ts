/** Where `foregate run` takes its configuration from: a file of its own, or Pushpin's. */
import { watchFile } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { loadText, readConfigText, type LoadedConfig } from '../gateway/config/load.ts';
import { parts } from '../gateway/parts.ts';
import { convertPushpin, type Converted } from './import.ts';

export interface ConfigurationOptions {
  readonly config: string;
  readonly pushpinConf?: string;
  readonly pushpinRoutes?: string;
}

/** A configuration as a text, and the name of the file that it stands in, or could. */
export interface ConfigurationText {
  readonly file: string;
  readonly text: string;
}

export interface Configuration extends ConfigurationText {
  /** What of Pushpin's files is not taken over. */
  readonly findings: Converted['findings'];
}

/** @throws ConfigError or Error for a file that cannot be read */
export async function readConfiguration(options: ConfigurationOptions): Promise<Configuration> {
  const { config: file, pushpinConf, pushpinRoutes } = options;
  if (pushpinConf === undefined) return { file, text: await readConfigText(file), findings: [] };
  const { text, findings, routeCount } = convertPushpin(pushpinConf, pushpinRoutes);
  if (routeCount === 0) throw new Error(`No route of ${pushpinConf} can be taken over; "foregate import pushpin" tells why.`);
  // Errors name a file that could be written: the one that `foregate import pushpin` makes.
  return { file: resolve(dirname(pushpinConf), 'foregate.yaml'), text, findings };
}

/** `port`: for clients, instead of the first. @throws ConfigError for a configuration that is wrong */
export async function loadConfiguration({ file, text }: ConfigurationText, port?: number): Promise<LoadedConfig> {
  const loaded = await loadText(file, text, parts);
  return port === undefined ? loaded : withPort(loaded, port);
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

const lookEveryMs = 500;

/** Pushpin takes up a changed routes file by itself; ours waits for SIGHUP. */
export function watchRoutes({ pushpinConf, pushpinRoutes }: ConfigurationOptions, changed: () => void): void {
  if (pushpinConf === undefined) return;
  const { routesFile } = convertPushpin(pushpinConf, pushpinRoutes);
  watchFile(routesFile, { interval: lookEveryMs, persistent: false }, (now, before) => {
    if (now.mtimeMs !== before.mtimeMs || now.ino !== before.ino) changed();
  });
}
