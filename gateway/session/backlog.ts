/**
 * What waits for a client that reads slowly. Its socket is handed a little; the rest waits here in order, so that the route can
 * still choose what is left out (`slowClients`): whole writes of what is published, and nothing else. Made when first needed.
 */
import type { ClientSocket } from '../core/client-socket.ts';
import type { ChannelName } from '../core/ids.ts';
import { limits } from '../core/limits.ts';
import type { Route } from '../core/route.ts';
import { SlowTime, type SlowClient, type SlowTimeParts } from './slow-time.ts';

/** Where it is written to in the end. */
export type Sink = Pick<ClientSocket, 'unsentBytes' | 'writeFrames' | 'drained'>;

export interface BacklogHost extends SlowClient {
  /** What was published has been written to the client. */
  published(items: number, bytes: number): void;
  /** It does not read, and the route says that this ends the session. */
  tooSlow(): void;
}

interface Waiting {
  readonly bytes: Buffer;
  readonly items: number;
  /** Undefined for what is never left out. */
  readonly channel: ChannelName | undefined;
  /** Who waits for the client to take all that stands before this. */
  readonly taken: (() => void) | undefined;
}

const nothing = Buffer.alloc(0);

/** Whether a write to this client has to go by its backlog. A client that has taken everything gets any write at once. */
export function isSlow(unsentBytes: number, moreBytes: number, route: Route): boolean {
  return unsentBytes > 0 && unsentBytes + moreBytes > handedBytes(route);
}

/** Where nothing is left out, nothing has to be kept from the socket; else half of a small limit is kept. */
function handedBytes({ slowClients, limits: { unsentBytes } }: Route): number {
  return slowClients === 'close' ? unsentBytes : Math.min(limits.handedBytes, unsentBytes / 2);
}

export class Backlog {
  readonly #host: BacklogHost;
  readonly #sink: Sink;
  readonly #slowTime: SlowTime;
  #waiting: Waiting[] = [];
  #bytes = 0;
  /** The sink will tell when it has drained. */
  #draining = false;

  constructor(host: BacklogHost, sink: Sink, parts: SlowTimeParts) {
    this.#host = host;
    this.#sink = sink;
    this.#slowTime = new SlowTime(host, parts);
  }

  /** Bytes that wait here. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whatever else is written has to wait behind this. */
  get waits(): boolean {
    return this.#waiting.length > 0;
  }

  /** What is published. False: it finds no room, but follows the client's current id, so that it can be fetched later. */
  publish(bytes: Buffer, items: number, channel: ChannelName, follows: boolean): boolean {
    if (!this.waits && !isSlow(this.#sink.unsentBytes, bytes.length, this.#host.route)) {
      this.#give({ bytes, items, channel, taken: undefined });
      return true;
    }
    const isTaken = this.#takeIn({ bytes, items, channel: follows ? undefined : channel, taken: undefined });
    this.#watch();
    if (isTaken) return true;
    if (this.#host.route.slowClients === 'close') this.#close(items, channel);
    else if (follows) return false;
    else this.#slowTime.lost(items, channel);
    return true;
  }

  /** What is not published is never left out, and keeps its place. */
  keep(bytes: Buffer): void {
    this.#push({ bytes, items: 0, channel: undefined, taken: undefined });
  }

  /** Calls once, when the client has taken what waits now, or is gone. */
  drained(then: () => void): void {
    if (this.waits) this.#push({ bytes: nothing, items: 0, channel: undefined, taken: then });
    else this.#sink.drained(then);
  }

  /** Hands everything over: something final comes behind it. */
  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    for (const { bytes, taken } of waiting) {
      if (bytes.length > 0) this.#sink.writeFrames(bytes);
      if (taken !== undefined) this.#sink.drained(taken);
    }
  }

  /** The client is gone. */
  end(): void {
    this.flush();
    this.#slowTime.end();
  }

  /** Puts a write behind those that wait, if there is room for it or room is made. */
  #takeIn(write: Waiting): boolean {
    const { slowClients } = this.#host.route;
    const { channel } = write;
    if (channel !== undefined && slowClients === 'latest') this.#leaveOutFirst((waiting) => waiting.channel === channel);
    if (channel !== undefined && slowClients !== 'drop-newest' && slowClients !== 'close') this.#makeRoom(write.bytes);
    else if (!this.#fits(write.bytes)) return false;
    this.#push(write);
    return true;
  }

  #fits({ length }: Buffer): boolean {
    const { unsentBytes } = this.#host.route.limits;
    return this.#sink.unsentBytes + this.#bytes + length <= unsentBytes && this.#waiting.length < limits.backlogWrites;
  }

  /** Leaves out from the head as much as is needed. A write too large for the limit waits alone. */
  #makeRoom(bytes: Buffer): void {
    while (!this.#fits(bytes) && this.#leaveOutFirst(({ channel }) => channel !== undefined));
  }

  #leaveOutFirst(matches: (write: Waiting) => boolean): boolean {
    const at = this.#waiting.findIndex(matches);
    const [write] = at < 0 ? [] : this.#waiting.splice(at, 1);
    if (write?.channel === undefined) return false;
    this.#bytes -= write.bytes.length;
    this.#slowTime.lost(write.items, write.channel);
    return true;
  }

  #close(items: number, channel: ChannelName): void {
    this.#slowTime.lost(items, channel);
    this.#host.tooSlow();
  }

  #push(write: Waiting): void {
    this.#waiting.push(write);
    this.#bytes += write.bytes.length;
    this.#watch();
  }

  #give({ bytes, items, taken }: Waiting): void {
    if (bytes.length > 0) this.#sink.writeFrames(bytes);
    if (items > 0) this.#host.published(items, bytes.length);
    if (taken !== undefined) this.#sink.drained(taken);
  }

  #watch(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#sink.drained(this.#drained);
  }

  /** Goes on where the client has taken what it was handed. */
  readonly #drained = (): void => {
    this.#draining = false;
    this.#giveNext();
    if (this.waits || this.#sink.unsentBytes > 0) this.#watch();
    else this.#slowTime.caughtUp();
  };

  #giveNext(): void {
    const waiting = this.#waiting;
    let given = 0;
    for (; given < waiting.length; given += 1) {
      const write = waiting[given];
      if (write === undefined || isSlow(this.#sink.unsentBytes, write.bytes.length, this.#host.route)) break;
      this.#bytes -= write.bytes.length;
      this.#give(write);
    }
    waiting.splice(0, given);
  }
}
