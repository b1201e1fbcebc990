/**
 * What a backend has set for a session beyond its channels: metadata that comes back or feeds filters, and timers. Made at the
 * first instruction of that kind, since most sessions never get one.
 */
import type { Message } from '../core/event.ts';
import type { Instruction } from '../core/instruction.ts';
import { noMetadata, type Metadata } from '../core/session.ts';
import { withItem, type MetadataItems } from './metadata-items.ts';
import { SessionTimers } from './timers.ts';

export type Setting = Extract<
  Instruction,
  { readonly kind: 'ask-every' | 'keep-alive' | 'send-delayed' | 'flush-delayed' | 'set-state' | 'set-meta' }
>;

export interface InstructedHost {
  /** The silence towards the backend has lasted long enough. */
  silent(): void;
  send(message: Message): void;
  keepAlive(message: Message): void;
}

export class Instructed {
  readonly #host: InstructedHost;
  #state: MetadataItems;
  #meta: MetadataItems;
  #timers: SessionTimers | undefined;

  constructor(host: InstructedHost) {
    this.#host = host;
  }

  get state(): Metadata {
    return this.#state ?? noMetadata;
  }

  get meta(): Metadata {
    return this.#meta ?? noMetadata;
  }

  /** The backend wants to be asked after silence. */
  get asks(): boolean {
    return this.#timers?.asks ?? false;
  }

  set(setting: Setting): void {
    switch (setting.kind) {
      case 'ask-every':
        this.#ownTimers().askEvery(setting.intervalMs);
        break;
      case 'keep-alive':
        this.#ownTimers().keepAlive(setting.keepAlive);
        break;
      case 'send-delayed':
        this.#ownTimers().sendDelayed(setting.message, setting.delayMs);
        break;
      case 'flush-delayed':
        this.#timers?.flushDelayed();
        break;
      case 'set-state':
        this.#state = withItem(this.#state, setting.name, setting.value);
        break;
      case 'set-meta':
        this.#meta = withItem(this.#meta, setting.name.toLowerCase(), setting.value);
        break;
    }
  }

  /** A frame went to the client. */
  sent(): void {
    this.#timers?.sent();
  }

  /** A request ended and none follows. */
  rested(): void {
    this.#timers?.rested();
  }

  /** Timers end; what the backend stored stays, for its last request. */
  cancelTimers(): void {
    this.#timers?.cancel();
  }

  #ownTimers(): SessionTimers {
    this.#timers ??= new SessionTimers({
      ask: () => this.#host.silent(),
      send: (message) => this.#host.send(message),
      keepAlive: (message) => this.#host.keepAlive(message),
    });
    return this.#timers;
  }
}
