/** Where `foregate run` takes its configuration from: a file of its own, or Pushpin's. */
import { watchFile } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { loadText, readConfigText, type LoadedConfig } from '../gateway/config/load.ts';
import type { MoreDocuments } from '../gateway/config/documents.ts';
import { parts } from '../gateway/parts.ts';
import { convertPushpin, type Converted } from './import.ts';

/** What says which configuration is meant. */
export interface ConfigChoice {
  /** Left out: `foregate.yaml`, unless documents are named, which then are all there is. */
  readonly config?: string;
  readonly openapi?: readonly string[];
  readonly asyncapi?: readonly string[];
}

export interface ConfigurationOptions extends ConfigChoice {
  readonly pushpinConf?: string;
  readonly pushpinRoutes?: string;
}

/** A configuration as a text, and the name of the file that it stands in, or could. */
export interface ConfigurationText {
  readonly file: string;
  readonly text: string;
  /** Named beside it, from the working directory. */
  readonly documents?: MoreDocuments;
}

export interface Configuration extends ConfigurationText {
  /** What of Pushpin's files is not taken over. */
  readonly findings: Converted['findings'];
}

/** @throws ConfigError or Error for a file that cannot be read */
export async function readConfiguration(options: ConfigurationOptions): Promise<Configuration> {
  const { pushpinConf, pushpinRoutes } = options;
  if (pushpinConf === undefined) return { ...(await chosenText(options)), findings: [] };
  const { text, findings, routeCount } = convertPushpin(pushpinConf, pushpinRoutes);
  if (routeCount === 0) throw new Error(`No route of ${pushpinConf} can be taken over; "foregate import pushpin" tells why.`);
  // Errors name a file that could be written: the one that `foregate import pushpin` makes.
  return { file: resolve(dirname(pushpinConf), 'foregate.yaml'), text, findings };
}

async function chosenText({ config, openapi = [], asyncapi = [] }: ConfigChoice): Promise<ConfigurationText> {
  const file = config ?? 'foregate.yaml';
  const isAlone = config === undefined && openapi.length + asyncapi.length > 0;
  return { file, text: isAlone ? '{}' : await readConfigText(file), documents: { openapi, asyncapi } };
}

/** For a command that needs it once. @throws ConfigError for a configuration that is wrong */
export async function loadChosen(choice: ConfigChoice): Promise<LoadedConfig> {
  return loadConfiguration(await chosenText(choice));
}

/** `port`: for clients, instead of the first. @throws ConfigError for a configuration that is wrong */
export async function loadConfiguration({ file, text, documents }: ConfigurationText, port?: number): Promise<LoadedConfig> {
  const loaded = await loadText(file, text, parts, process.env, documents);
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
