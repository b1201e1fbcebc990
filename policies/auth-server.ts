/** A server that is asked about clients: every call has a deadline, a bounded answer and its turn. */
import type { Clock } from '../gateway/core/clock.ts';
import { ForegateError } from '../gateway/core/errors.ts';
import { limits } from '../gateway/core/limits.ts';
import type { Log } from '../gateway/core/log.ts';

export interface AuthAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Undefined: larger than {@link limits.authBodyBytes}. */
  readonly body: Buffer | undefined;
}

export interface AuthCall {
  readonly method: 'GET' | 'POST';
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body?: string;
}

interface AuthServerTerms {
  readonly url: string;
  /** For a whole answer, the wait for a turn included. */
  readonly timeoutMs: number;
  /** The policy that asks, for the log. */
  readonly policy: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** While the server is away the log says so once in this time, not for each client. */
const quietMs = 10_000;

export class AuthServer {
  readonly #terms: AuthServerTerms;
  readonly #url: URL;
  readonly #waiting: (() => void)[] = [];
  #calls = 0;
  #warnedAt = -Infinity;

  /** @throws ForegateError `bad-request` for something that is no URL */
  constructor(terms: AuthServerTerms) {
    this.#terms = terms;
    this.#url = checkedUrl(terms.url);
  }

  /** @throws ForegateError `auth-unavailable` when there is no whole answer, `overloaded` when too many wait for one */
  async ask(call: AuthCall): Promise<AuthAnswer> {
    const deadline = performance.now() + this.#terms.timeoutMs;
    await this.#turn();
    try {
      const leftMs = Math.floor(deadline - performance.now());
      if (leftMs <= 0) throw new DOMException('The turn came too late.', 'TimeoutError');
      return await this.#call(call, AbortSignal.timeout(leftMs));
    } catch (thrown) {
      throw new ForegateError('auth-unavailable', reasonOf(thrown));
    } finally {
      this.#nextTurn();
    }
  }

  /** Tells the log that a question has no answer. The query of the URL may hold a secret. */
  warn({ message }: ForegateError): void {
    const { clock, log, policy } = this.#terms;
    if (clock.now() - this.#warnedAt < quietMs) return;
    this.#warnedAt = clock.now();
    log.warn('auth-server.failed', { policy, url: this.#url.origin + this.#url.pathname, reason: message });
  }

  async #call({ method, headers, body }: AuthCall, signal: AbortSignal): Promise<AuthAnswer> {
    const fields = [...headers, plainly].map(([name, value]): [string, string] => [name, value]);
    const init: RequestInit = { method, headers: fields, redirect: 'manual', signal };
    const response = await fetch(this.#url, body === undefined ? init : { ...init, body });
    return { status: response.status, headers: response.headers, body: await readBody(response) };
  }

  async #turn(): Promise<void> {
    if (this.#calls < limits.authCalls) {
      this.#calls += 1;
      return;
    }
    if (this.#waiting.length >= limits.authWaiting) throw new ForegateError('overloaded', 'Too many questions are waiting.');
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #nextTurn(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#calls -= 1;
    else next();
  }
}

/** A small answer that was packed could become a large one. */
const plainly = ['Accept-Encoding', 'identity'] as const;

function checkedUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if ((url?.protocol === 'https:' || url?.protocol === 'http:') && url.username === '' && url.password === '') return url;
  throw new ForegateError('bad-request', 'The url must be an http or https URL without a user name.');
}

async function readBody(response: Response): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > limits.authBodyBytes) return undefined; // Leaving the loop ends the connection.
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Only what is known to hold nothing of the call: messages of the library quote what they do not like. */
function reasonOf(thrown: unknown): string {
  if (thrown instanceof Error && thrown.name === 'TimeoutError') return 'It did not answer in time.';
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
  return code === undefined ? 'It did not answer.' : `It did not answer: ${code}.`;
}
