/** The package's main entry: the program as a library. */
import { parts } from './parts.ts';
import { loadConfig as load, loadText as loadFromText, type LoadedConfig } from './config/load.ts';

export { createForegate, type Foregate, type Reloaded } from './foregate.ts';
export { ConfigError } from './core/problem.ts';
export type { LoadedConfig } from './config/load.ts';
export type { Log, LogFields } from './core/log.ts';

/**
 * Reads and checks a configuration file.
 * @throws ConfigError with everything that is wrong, each with file, line and column
 */
export function loadConfig(file: string): Promise<LoadedConfig> {
  return load(file, parts);
}

/** The same for YAML or JSON text; relative paths in it start from the folder of `file`. */
export function loadText(text: string, file = 'foregate.yaml'): Promise<LoadedConfig> {
  return loadFromText(file, text, parts);
}
