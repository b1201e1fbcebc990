/**
 * Many clients at once, each of which counts what it gets: sockets that send numbered messages and check the echoes, and streams
 * and sockets that check that numbered items come all, once and in order.
 */
import { randomUUID } from 'node:crypto';
import { get, type ClientRequest } from 'node:http';
import { WebSocket } from 'ws';
import { echo, reply, text, type BackendReply, type BackendRequest } from '../support/backend.ts';
import type { RunningForegate } from '../support/gateway.ts';

export interface Counts {
  echoes: number;
  /** Items that came over sockets, and over streams. */
  pushed: number;
  streamed: number;
  /** Connections that ended without being asked to. */
  closed: number;
  /** Echoes and items that were not the next. */
  wrong: number;
}

export class Crowd {
  readonly counts: Counts = { echoes: 0, pushed: 0, streamed: 0, closed: 0, wrong: 0 };
  readonly sockets: WebSocket[] = [];
  readonly streams: ClientRequest[] = [];
  readonly #foregate: RunningForegate;
  /** Of its own: ids are remembered for a while. */
  readonly #channel = randomUUID();
  #published = 0;
  #leaving = false;

  constructor(foregate: RunningForegate) {
    this.#foregate = foregate;
  }

  /** Items published so far. */
  get published(): number {
    return this.#published;
  }

  async open(sockets: number, streams: number): Promise<void> {
    // A few at a time: the backlog of a port is not what is tested.
    for (let done = 0; done < Math.max(sockets, streams); done += 100) {
      const some = (all: number): unknown[] => Array.from({ length: Math.min(100, Math.max(0, all - done)) });
      await Promise.all([...some(sockets).map(() => this.#openSocket()), ...some(streams).map(() => this.#openStream())]);
    }
  }

  /** Every socket sends its next message. */
  say(): void {
    for (const socket of this.sockets) socket.send(`said ${this.#saidBy(socket)}`);
  }

  /** The next item for everybody. @throws Error unless it was taken */
  async publish(): Promise<void> {
    this.#published += 1;
    const content = String(this.#published);
    const formats = { 'ws-message': { content }, 'http-stream': { content: `${content}\n` } };
    const item = { channel: this.#channel, id: content, 'prev-id': String(this.#published - 1), formats };
    const response = await fetch(`${this.#foregate.controlUrl}/publish/`, {
      method: 'POST',
      body: JSON.stringify({ items: [item] }),
    });
    if (!response.ok) throw new Error(`The item was refused: ${response.status}`);
    await response.arrayBuffer();
  }

  leave(): void {
    this.#leaving = true;
    for (const socket of this.sockets.splice(0)) socket.terminate();
    for (const stream of this.streams.splice(0)) stream.destroy();
  }

  readonly #said = new Map<WebSocket, number>();

  #saidBy(socket: WebSocket): number {
    const next = (this.#said.get(socket) ?? 0) + 1;
    this.#said.set(socket, next);
    return next;
  }

  #openSocket(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`${this.#foregate.socketUrl}/socket?ch=${this.#channel}`);
      const echoes = new Sequence('said ');
      const items = new Sequence('');
      this.sockets.push(socket);
      socket.on('open', resolve).on('error', reject);
      socket.on('message', (data: Buffer) => {
        const isEcho = data[0] === 's'.charCodeAt(0);
        this.counts[isEcho ? 'echoes' : 'pushed'] += 1;
        if (!(isEcho ? echoes : items).takes(data.toString())) this.counts.wrong += 1;
      });
      socket.on('close', () => this.#closed());
    });
  }

  #openStream(): Promise<void> {
    return new Promise((resolve, reject) => {
      const items = new Sequence('');
      let rest = '';
      const stream = get(`${this.#foregate.url}/stream?ch=${this.#channel}`, { agent: false }, (response) => {
        response.setEncoding('utf8').on('data', (part: string) => {
          const lines = (rest + part).split('\n');
          rest = lines.pop() ?? '';
          this.counts.streamed += lines.length;
          for (const line of lines) if (!items.takes(line)) this.counts.wrong += 1;
        });
        response.on('end', () => this.#closed()).on('error', () => this.#closed());
        resolve();
      });
      this.streams.push(stream);
      stream.on('error', reject);
    });
  }

  #closed(): void {
    if (!this.#leaving) this.counts.closed += 1;
  }
}

/** Texts that end with 1, 2, 3 and so on. */
class Sequence {
  readonly #prefix: string;
  #last = 0;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  takes(given: string): boolean {
    this.#last += 1;
    return given === `${this.#prefix}${this.#last}`;
  }
}

/** A backend for a crowd: streams that recover by a link, sockets that get the items too, and echoes. */
export function answerCrowd(request: BackendRequest): BackendReply {
  const [path, channel = ''] = request.path.split('?ch=');
  if (path === '/stream')
    return {
      headers: { 'Grip-Hold': 'stream', 'Grip-Channel': `${channel}; prev-id=0`, 'Grip-Link': '</next>; rel=next; timeout=60' },
    };
  if (path === '/plain') return { body: 'plain' };
  const subscribe = text(`c:{"type":"subscribe","channel":"${channel}"}`);
  if (request.events[0]?.kind === 'open')
    return reply([{ kind: 'open' }, subscribe], { 'Sec-WebSocket-Extensions': 'grip; message-prefix=""' });
  return echo(request);
}
