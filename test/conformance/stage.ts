/** What a case has: its share of the backend, clients of the gateway, and the control API. All it opened is closed after it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { serverCertificate } from '../downstream/certificates.ts';
import { handshakeRequest, RawSocket } from '../support/raw-socket.ts';
import type { Answer, Backend, BackendRequest, Reply, Share } from './backend.ts';
import { HttpClient, plainHost, SocketClient, waitMs, type Answer as Answered, type RequestTerms } from './connection.ts';
import { stream } from './replies.ts';
import type { Gateway, Kind } from './target.ts';

export interface SocketTerms {
  readonly host?: string;
  /** `Name: value` lines. */
  readonly headers?: readonly string[];
}

/** The result of a call of the control API. */
export interface ControlAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export class Stage {
  readonly kind: Kind;
  readonly gateway: Gateway;
  /** `/4.5-timeout`: where the case's requests go. */
  readonly path: string;
  /** A channel of the case's own. */
  readonly channel: string;
  readonly #share: Share;
  readonly #opened: RawSocket[] = [];

  constructor(id: string, gateway: Gateway, backend: Backend) {
    this.kind = gateway.kind;
    this.gateway = gateway;
    this.path = `/${id}`;
    this.channel = id;
    this.#share = backend.share(id);
  }

  /** What is expected where the two are meant to differ. */
  pick<Way>(ways: Readonly<Record<Kind, Way>>): Way {
    return ways[this.kind];
  }

  /** How the backend answers this case's requests from now on. */
  answer(answer: Answer | Reply): void {
    this.#share.answer = typeof answer === 'function' ? answer : () => answer;
  }

  /** Answers by what follows the case's path, without the query: `''`, `/next`. */
  answers(byPath: Readonly<Record<string, Answer | Reply>>): void {
    this.answer((request) => {
      const rest = (request.path.split('?', 1)[0] ?? '').replace(this.path, '');
      const found = byPath[rest] ?? { status: 404 };
      return typeof found === 'function' ? found(request) : found;
    });
  }

  /** What the backend does with the handshake of a real WebSocket. */
  upgrade(upgrade: Share['upgrade']): void {
    this.#share.upgrade = upgrade;
  }

  get requests(): readonly BackendRequest[] {
    return this.#share.requests;
  }

  /** The requests for what follows the case's path, without the query. */
  at(rest: string): readonly BackendRequest[] {
    return this.requests.filter((request) => request.path.split('?', 1)[0] === this.path + rest);
  }

  /** Resolves with the request of this number, the first is 0, when the backend has it. */
  async request(index: number, ms = waitMs): Promise<BackendRequest> {
    await this.until(() => this.requests.length > index, ms);
    const request = this.requests[index];
    assert.ok(request);
    return request;
  }

  /** Resolves when the check holds; asked again with every request. @throws Error at the deadline */
  async until(check: () => boolean, ms = waitMs): Promise<void> {
    const deadline = Date.now() + ms;
    while (!check()) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`The backend did not see within ${ms} ms: ${check.toString()}; ${this.#seen()}`);
      await this.#nextRequest(Math.min(left, 100));
    }
  }

  #nextRequest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      const before = this.#share.wake;
      this.#share.wake = () => {
        clearTimeout(timer);
        this.#share.wake = before;
        before();
        resolve();
      };
    });
  }

  #seen(): string {
    return JSON.stringify(this.requests.map(({ method, path, body }) => `${method} ${path} ${body.slice(0, 100)}`));
  }

  /** Long enough to see that something does not happen. */
  quiet(ms = 400): Promise<void> {
    return after(ms);
  }

  /** A connection to the gateway that has sent nothing. */
  async connect(): Promise<HttpClient> {
    const raw = await RawSocket.connect(this.gateway.clientPort, this.gateway.clientHost);
    this.#opened.push(raw);
    return new HttpClient(raw);
  }

  /** The same with TLS. */
  async connectTls(serverName: string): Promise<HttpClient> {
    const port = this.gateway.tlsPort;
    assert.ok(port !== undefined, "the case needs the gateway's files");
    const socket = connectTls({
      port,
      host: this.gateway.clientHost,
      servername: serverName,
      ca: serverCertificate,
      checkServerIdentity: () => undefined,
    });
    await once(socket, 'secureConnect');
    const raw = new RawSocket(socket);
    this.#opened.push(raw);
    return new HttpClient(raw);
  }

  /** A file of the gateway, such as `routes`. */
  file(name: string): string {
    assert.ok(this.gateway.folder !== undefined, "the case needs the gateway's files");
    return join(this.gateway.folder, name);
  }

  /** Sends a request on a connection of its own; `rest` follows the case's path. */
  async send(rest = '', terms: RequestTerms = {}): Promise<HttpClient> {
    const client = await this.connect();
    client.send(this.path + rest, terms);
    return client;
  }

  /** Sends the handshake of a WebSocket and nothing else. */
  async handshake(rest = '', { host = plainHost, headers = [] }: SocketTerms = {}): Promise<HttpClient> {
    const client = await this.connect();
    const text = handshakeRequest({ path: this.path + rest, headers });
    client.raw.send(text.replace('Host: localhost', `Host: ${host}`));
    return client;
  }

  /** Opens a WebSocket. @throws Error unless it is accepted */
  async open(rest = '', terms: SocketTerms = {}): Promise<SocketClient> {
    const client = await this.handshake(rest, terms);
    return this.opened(client);
  }

  /** Takes the 101 of a handshake that was sent. */
  async opened(client: HttpClient, ms = waitMs): Promise<SocketClient> {
    const head = await client.raw.takeHead(ms);
    assert.equal(head.status, 101, `the handshake was answered with ${head.status}`);
    return new SocketClient(client.raw, head);
  }

  /** A connection to the control API that has sent nothing. */
  async connectControl(): Promise<RawSocket> {
    const raw = await RawSocket.connect(this.gateway.controlPort, this.gateway.controlHost);
    this.#opened.push(raw);
    return raw;
  }

  /** Sends bytes to the control API and takes the answer. */
  async control(bytes: string | Buffer, ms = waitMs): Promise<ControlAnswer> {
    const raw = await this.connectControl();
    raw.send(bytes);
    try {
      return await new HttpClient(raw).answer(ms);
    } finally {
      raw.destroy();
    }
  }

  /** A call of the control API with a body and its length. */
  call(path: string, body: string, headers: readonly string[] = [], method = 'POST'): Promise<ControlAnswer> {
    const bytes = Buffer.from(body);
    const lines = [`${method} ${path} HTTP/1.1`, 'Host: localhost', ...headers, `Content-Length: ${bytes.length}`];
    return this.control(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), bytes]));
  }

  /** Publishes items; all other members are the item's. @throws Error unless it is taken */
  async publish(...items: readonly object[]): Promise<void> {
    const { status, body } = await this.call('/publish/', JSON.stringify({ items }));
    assert.equal(status, 200, body);
  }

  /** Publishes one text in all formats to the case's channel. */
  say(text: string, more: object = {}): Promise<void> {
    return this.publish({ channel: this.channel, ...allFormats(text), ...more });
  }

  /** Publishes until the held request has its answer: the gateway says nothing of a hold. */
  async answered(client: HttpClient, item: object): Promise<Answered> {
    const answer = client.answer();
    for (;;) {
      await this.publish({ channel: this.channel, ...item });
      const first = await Promise.race([answer, after(150)]);
      if (first) return first;
    }
  }

  /** Publishes until a stream has got something, then takes all of that: from now on nothing published is missed. */
  async joined(client: HttpClient | SocketClient, channel = this.channel): Promise<void> {
    const got = client instanceof HttpClient ? () => client.some() : () => client.next();
    const first = got();
    let count = 0;
    let text: string | undefined;
    do {
      count += 1;
      await this.publish({ channel, ...allFormats(`probe ${count};`) });
      text = (await Promise.race([first, after(100)])) ?? undefined;
    } while (text === undefined);
    while (!text.endsWith(`probe ${count};`)) {
      const more = await got();
      assert.match(more, /\S/, `it ended after ${text}`);
      assert.notEqual(more, 'DROPPED');
      text += more;
    }
  }

  /** A stream that gets what is published to the case's channel. */
  async watching(headers: Readonly<Record<string, string>> = {}): Promise<HttpClient> {
    this.answer(stream(this.channel, headers));
    const client = await this.send();
    await client.head();
    await client.text('[open]');
    await this.joined(client);
    return client;
  }

  close(): void {
    for (const socket of this.#opened) socket.destroy();
  }
}

export function allFormats(text: string): { readonly formats: object } {
  return { formats: { 'http-response': { body: text }, 'http-stream': { content: text }, 'ws-message': { content: text } } };
}
