/** Foregate for tests: the whole program in this process, from the settings a configuration file would have. */
import { stringify } from 'yaml';
import { silentLog } from '../../gateway/core/log.ts';
import { createForegate, loadText, type Foregate, type LoadedConfig, type Log } from '../../gateway/index.ts';

export interface RunningForegate {
  readonly foregate: Foregate;
  readonly port: number;
  /** `http://127.0.0.1:PORT`, where clients connect. */
  readonly url: string;
  /** `ws://127.0.0.1:PORT` */
  readonly socketUrl: string;
  /** `http://127.0.0.1:PORT`, the control API. */
  readonly controlUrl: string;
  stop(): Promise<void>;
}

/**
 * Starts it on free ports of the loopback. `settings` is what would stand in the file, as a value or as YAML; a value may leave out
 * `listen`, `control` and `drain`.
 */
export async function startForegate(settings: object | string, log: Log = silentLog): Promise<RunningForegate> {
  const foregate = await createForegate(await loadSettings(settings), { log });
  await foregate.start();
  const [url = ''] = foregate.addresses.clients;
  return {
    foregate,
    port: Number(new URL(url).port),
    url,
    socketUrl: url.replace(/^http/, 'ws'),
    controlUrl: foregate.addresses.control,
    stop: () => foregate.stop(),
  };
}

/** Reads settings as `startForegate` does, for a reload. @throws ConfigError */
export async function loadSettings(settings: object | string): Promise<LoadedConfig> {
  const text = typeof settings === 'string' ? settings : stringify({ ...onLoopback, ...settings });
  return loadText(text);
}

const onLoopback = { listen: [{ host: '127.0.0.1', port: 0 }], control: { host: '127.0.0.1', port: 0 }, drain: '1s' };
