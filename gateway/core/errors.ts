/** The one table of errors: what each means for an HTTP client, for a WebSocket, for the log and for a retry. */

interface ErrorEntry {
  /** HTTP status where the error ends a request or a handshake. */
  readonly status: number;
  /** Close code where it ends an open WebSocket (RFC 6455 section 7.4; 4400-4599 mirror HTTP). */
  readonly close: number;
  /** Who is to blame. */
  readonly source: 'client' | 'downstream' | 'internal';
  /** Whether the same request may be sent again by itself. */
  readonly retry: boolean;
  /** The sentence for people. */
  readonly text: string;
}

export const errors = {
  'bad-request': { status: 400, close: 4400, source: 'client', retry: false, text: 'The request is not valid.' },
  unauthorized: { status: 401, close: 4401, source: 'client', retry: false, text: 'Credentials are missing or not valid.' },
  forbidden: { status: 403, close: 4403, source: 'client', retry: false, text: 'Not allowed.' },
  'no-route': { status: 404, close: 4404, source: 'client', retry: false, text: 'No route for this request.' },
  'message-too-large': { status: 413, close: 1009, source: 'client', retry: false, text: 'The message is too large.' },
  'invalid-text': { status: 400, close: 1007, source: 'client', retry: false, text: 'Text is not valid UTF-8.' },
  'invalid-message': { status: 400, close: 1007, source: 'client', retry: false, text: 'The message is not valid.' },
  'protocol-error': { status: 400, close: 1002, source: 'client', retry: false, text: 'The WebSocket protocol was violated.' },
  'header-too-large': { status: 431, close: 1009, source: 'client', retry: false, text: 'Too many header fields.' },
  'rate-limited': { status: 429, close: 4429, source: 'client', retry: false, text: 'Too many requests.' },
  'slow-client': { status: 503, close: 1013, source: 'client', retry: false, text: 'The client does not read fast enough.' },
  idle: { status: 408, close: 4408, source: 'client', retry: false, text: 'Nothing was heard for too long.' },
  'expired-token': { status: 401, close: 4401, source: 'client', retry: false, text: 'The token has expired.' },
  revoked: { status: 401, close: 4401, source: 'client', retry: false, text: 'The credentials were revoked.' },
  'downstream-unreachable': {
    status: 502,
    close: 1013,
    source: 'downstream',
    retry: true,
    text: 'The backend cannot be reached.',
  },
  'downstream-lost': {
    status: 502,
    close: 1011,
    source: 'downstream',
    retry: false,
    text: 'The backend closed its connection before it had answered.',
  },
  'downstream-timeout': {
    status: 504,
    close: 1013,
    source: 'downstream',
    retry: false,
    text: 'The backend did not answer in time.',
  },
  'circuit-open': {
    status: 503,
    close: 1013,
    source: 'downstream',
    retry: true,
    text: 'The backend has failed too often and is left alone for a while.',
  },
  'downstream-fault': {
    status: 502,
    close: 1011,
    source: 'downstream',
    retry: false,
    text: 'The backend answered with an error.',
  },
  'recovery-failed': {
    status: 503,
    close: 1013,
    source: 'downstream',
    retry: false,
    text: 'What was missed cannot be fetched now.',
  },
  'recovery-gone': {
    status: 410,
    close: 4410,
    source: 'downstream',
    retry: false,
    text: 'What was missed is not known any more.',
  },
  'bad-reply': {
    status: 502,
    close: 1011,
    source: 'downstream',
    retry: false,
    text: 'The backend gave an answer that is not valid.',
  },
  'reply-too-large': { status: 502, close: 1011, source: 'downstream', retry: false, text: "The backend's answer is too large." },
  'auth-unavailable': {
    status: 503,
    close: 1013,
    source: 'downstream',
    retry: false,
    text: 'Whether this is allowed cannot be found out now.',
  },
  overloaded: { status: 503, close: 1013, source: 'internal', retry: false, text: 'Too much is waiting.' },
  'policy-failed': { status: 500, close: 1011, source: 'internal', retry: false, text: 'A policy could not decide.' },
  'shutting-down': { status: 503, close: 1012, source: 'internal', retry: false, text: 'The service restarts.' },
  internal: { status: 500, close: 1011, source: 'internal', retry: false, text: 'Something went wrong here.' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errors;

/** An error with a code of the table. `message` is for people and holds no secret. */
export class ForegateError extends Error {
  readonly code: ErrorCode;
  /** When it is worth another try, where that is known. */
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message?: string, options?: { cause?: unknown; retryAfterMs?: number }) {
    super(message ?? errors[code].text, options);
    this.name = 'ForegateError';
    this.code = code;
    this.retryAfterMs = options?.retryAfterMs;
  }
}

/** Gives any thrown thing a code: its own, or `internal`. */
export function toForegateError(thrown: unknown): ForegateError {
  return thrown instanceof ForegateError ? thrown : new ForegateError('internal', undefined, { cause: thrown });
}
