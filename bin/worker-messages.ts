/** What the primary tells its workers to do, and what they say of it. Frames of the bus and the store go beside it. */
import type { Foregate, Reloaded } from '../gateway/foregate.ts';
import type { ConfigurationText } from './configuration.ts';

export type Order =
  | { readonly kind: 'start'; readonly configuration: ConfigurationText; readonly programKey: Buffer }
  | { readonly kind: 'reload'; readonly configuration: ConfigurationText }
  /** Not answered: the process ends with 0. */
  | { readonly kind: 'stop' };

/** Each answers the one order before it. */
export type Report =
  | { readonly kind: 'started'; readonly addresses: Foregate['addresses'] }
  | { readonly kind: 'reloaded'; readonly reloaded: Reloaded }
  /** `code`: what the program ends with, if it ends for that. */
  | { readonly kind: 'failed'; readonly message: string; readonly code: number };

/** In the environment of a worker: its number. */
export const workerVariable = 'FOREGATE_WORKER';
