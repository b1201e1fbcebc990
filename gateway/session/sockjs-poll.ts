/** One answer through which a SockJS client gets frames: one frame and its end, or one after the other until it is long enough. */
import type { ServerResponse } from 'node:http';
import type { HeaderDraft } from '../core/headers.ts';
import { limits } from '../core/limits.ts';

/** How an answer carries frames. */
export interface PollForm {
  readonly contentType: string;
  /** Undefined: one frame makes the answer complete. Else what comes before the first. */
  readonly prelude: string | undefined;
  wrap(frame: string): string;
}

export class Poll {
  readonly #response: ServerResponse;
  readonly #form: PollForm;
  readonly #headers: HeaderDraft;
  #written = 0;

  /** `headers` may get more until the first frame. */
  constructor(response: ServerResponse, form: PollForm, headers: HeaderDraft) {
    this.#response = response;
    this.#form = form;
    this.#headers = headers;
  }

  /** Takes no more frames. */
  get full(): boolean {
    return this.#response.writableEnded || this.#response.destroyed;
  }

  /** The client is gone before it had everything. */
  get broken(): boolean {
    return this.#response.destroyed && !this.#response.writableFinished;
  }

  get unsentBytes(): number {
    return this.#response.writableLength;
  }

  addHeaders(headers: readonly string[]): void {
    this.#headers.push(...headers);
  }

  /** Calls when the client has the whole answer or is gone. */
  onOver(then: () => void): void {
    this.#response.once('close', then);
  }

  /** `taken`: the client's socket took it. */
  write(frame: string, taken: () => void): void {
    const { prelude } = this.#form;
    if (prelude === undefined) this.last(frame);
    else this.#go(this.#form.wrap(frame), taken, prelude);
  }

  /** The only or last frame. */
  last(frame: string): void {
    const text = this.#form.wrap(frame);
    if (this.#response.headersSent) {
      this.#response.end(text);
      return;
    }
    const body = Buffer.from((this.#form.prelude ?? '') + text);
    this.#start(['Content-Length', String(body.length)]);
    this.#response.end(body);
  }

  destroy(): void {
    this.#response.destroy();
  }

  #go(text: string, taken: () => void, prelude: string): void {
    if (!this.#response.headersSent) {
      this.#start([]);
      this.#response.write(prelude);
    }
    this.#written += text.length;
    this.#response.write(text, taken);
    if (this.#written >= limits.sockJsStreamBytes) this.#response.end();
  }

  #start(more: readonly string[]): void {
    this.#response.writeHead(200, ['Content-Type', this.#form.contentType, ...this.#headers, ...more]);
  }
}
