/**
 * Lets another server decide, by a request that repeats who the client is and what it wants: the way of `auth_request` and
 * forward authentication in reverse proxies.
 */
import { Type, type Static } from 'typebox';
import type { Clock } from '../gateway/core/clock.ts';
import { Duration, toMs } from '../gateway/core/duration.ts';
import { errors, ForegateError, toForegateError, type ErrorCode } from '../gateway/core/errors.ts';
import {
  fields,
  header,
  isHeaderName,
  isHeaderValue,
  isHopByHop,
  setHeader,
  type HeaderDraft,
  type HeaderList,
} from '../gateway/core/headers.ts';
import { limits } from '../gateway/core/limits.ts';
import type { Log } from '../gateway/core/log.ts';
import { definePolicy, deny, type Policy, type Verdict } from '../gateway/core/policy.ts';
import { isPromise, type MaybePromise } from '../gateway/core/promise.ts';
import type { ClientRequest, Denial, Identity, SessionView } from '../gateway/core/session.ts';
import { Answers, Questions } from './answers.ts';
import { AuthServer, type AuthAnswer } from './auth-server.ts';
import { digest } from '../gateway/core/secret.ts';
import { Recheck, type Finding } from './recheck.ts';

const FieldName = Type.String({ minLength: 1 });

const ForwardAuthOptions = Type.Object(
  {
    url: Type.String({
      minLength: 1,
      description:
        'URL that is asked by GET, with `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For`. A status of 2xx lets the client in; 5xx or no answer within `timeout` counts as a failure; anything else is what the client gets.',
    }),
    headers: Type.Array(FieldName, {
      default: ['Cookie', 'Authorization'],
      description:
        'Fields of the client that the request repeats. A client that sends one of them twice is refused, `Cookie` excepted.',
    }),
    forward: Type.Array(FieldName, {
      default: [],
      description:
        'Fields of a 2xx answer that go on to the backend with every request. What clients send under these names does not, in any spelling.',
    }),
    subject: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'The field of a 2xx answer that says who the client is: the subject for logs, limits and channel rules.',
      }),
    ),
    relay: Type.Array(FieldName, {
      default: ['Location', 'WWW-Authenticate', 'Content-Type', 'Cache-Control', 'Retry-After'],
      description:
        'Fields of a refusal that the client gets, with its status and up to 16 KB of its body. `Set-Cookie` is not possible, since clients that ask the same at once share an answer.',
    }),
    timeout: Duration({ default: '5s', description: 'How long a whole answer may take.' }),
    cache: Duration({
      default: '30s',
      description:
        'How long a 2xx answer is good for the same question: the same fields, method, host, path and address. Refusals are not kept; `0s` keeps nothing.',
    }),
    recheck: Type.Optional(
      Duration({
        description:
          'How often is asked again, past the cache, about a WebSocket or a held request that lasts. A refusal ends it, a WebSocket with code 4401; so do three failures in a row, with code 1013. Without it nobody is asked again.',
      }),
    ),
    onError: Type.Enum(['deny', 'allow'], {
      default: 'deny',
      description:
        'What a failure means. `deny`: status 503. `allow`: the client gets in without the fields of an answer, and so does whoever can make the server fail.',
    }),
  },
  { additionalProperties: false },
);
type ForwardAuthOptions = Static<typeof ForwardAuthOptions>;

export const forwardAuth = definePolicy({
  name: 'forward-auth',
  summary: 'Asks another server whether a client gets in.',
  options: ForwardAuthOptions,
  create(options, { clock, log }): Policy {
    checkNames(options);
    const decider = new Decider(options, clock, log);
    const allowed = new WeakMap<SessionView, Allowed>();

    const admit = (session: SessionView, decision: Allowed): void => {
      allowed.set(session, decision);
      if (decision.identity !== undefined) session.identity = decision.identity;
    };
    /** A policy after this one may have known the client better. */
    const renew = (session: SessionView, decision: Allowed): void => {
      allowed.set(session, decision);
      if (session.identity?.by === 'forward-auth') session.identity = decision.identity;
    };
    const check = async (session: SessionView): Promise<Finding> => {
      const decision = await decider.decideAnew(session.request);
      if (decision.kind === 'refuse') return decision.denial;
      if (decision.kind === 'allow') renew(session, decision);
      return decision.kind === 'allow' || options.onError === 'allow' ? 'good' : 'unknown';
    };
    const recheck = options.recheck === undefined ? undefined : new Recheck({ everyMs: toMs(options.recheck), clock, check });
    const settle = (session: SessionView, decision: Decision): Verdict => {
      if (decision.kind === 'refuse') return decision.denial;
      const passes = decision.kind === 'allow' || (options.onError === 'allow' && decision.code === 'auth-unavailable');
      if (!passes) return deny(decision.code, errors[decision.code].text);
      if (decision.kind === 'allow') admit(session, decision);
      if (session.transport === 'websocket') recheck?.watch(session);
      return undefined;
    };
    return {
      connect(session) {
        for (const name of options.forward) session.consumed.push({ in: 'header', name });
        const decision = decider.decide(session.request);
        return isPromise(decision) ? decision.then((later) => settle(session, later)) : settle(session, decision);
      },
      ...(options.forward.length > 0 && {
        request(session, { headers }) {
          const told = allowed.get(session)?.headers ?? none;
          for (let i = 0; i + 1 < told.length; i += 2) setHeader(headers, told[i] ?? '', told[i + 1] ?? '');
          return undefined;
        },
      }),
      ...(recheck !== undefined && {
        /** Only now it is known that a plain request is held: others end by themselves. */
        held: (session) => recheck.watch(session),
        disconnect: (session) => recheck.forget(session),
      }),
    };
  },
});

type Decision =
  Allowed | { readonly kind: 'refuse'; readonly denial: Denial } | { readonly kind: 'failed'; readonly code: ErrorCode };

/** What a 2xx answer gives a session. */
interface Allowed {
  readonly kind: 'allow';
  /** For the backend. */
  readonly headers: HeaderList;
  readonly identity: Identity | undefined;
}

/** Asks, and remembers who was let in. */
class Decider {
  readonly #options: ForwardAuthOptions;
  readonly #server: AuthServer;
  readonly #answers: Answers<Allowed>;
  readonly #questions = new Questions<Decision>();
  readonly #cacheMs: number;

  constructor(options: ForwardAuthOptions, clock: Clock, log: Log) {
    const { url, timeout, cache } = options;
    this.#options = options;
    this.#server = new AuthServer({ url, timeoutMs: toMs(timeout), policy: 'forward-auth', clock, log });
    this.#answers = new Answers(clock);
    this.#cacheMs = toMs(cache);
  }

  /** At once for a question that was answered not long ago. */
  decide(request: ClientRequest): MaybePromise<Decision> {
    const question = questionOf(request, this.#options.headers);
    if (!('key' in question)) return { kind: 'refuse', denial: question };
    return this.#answers.get(question.key) ?? this.#ask(question);
  }

  async decideAnew(request: ClientRequest): Promise<Decision> {
    const question = questionOf(request, this.#options.headers);
    return 'key' in question ? this.#ask(question) : { kind: 'refuse', denial: question };
  }

  #ask({ key, headers }: Question): Promise<Decision> {
    return this.#questions.ask(key, async () => {
      try {
        const decision = this.#read(await this.#server.ask({ method: 'GET', headers }));
        if (decision.kind === 'allow') this.#answers.keep(key, decision, this.#cacheMs);
        else this.#answers.forget(key);
        return decision;
      } catch (thrown) {
        const error = toForegateError(thrown);
        this.#server.warn(error);
        return { kind: 'failed', code: error.code };
      }
    });
  }

  /** @throws ForegateError `auth-unavailable` for the answer of a server that is not well */
  #read({ status, headers, body }: AuthAnswer): Decision {
    const { forward, subject, relay } = this.#options;
    if (status >= 500) throw new ForegateError('auth-unavailable', `It answered with status ${status}.`);
    if (status >= 200 && status < 300)
      return { kind: 'allow', headers: pick(headers, forward), identity: identityOf(headers, subject) };
    const reply = { status, headers: pick(headers, relay), body: body ?? noBody };
    return { kind: 'refuse', denial: deny('unauthorized', 'Another server has refused the request.', { reply }) };
  }
}

const noBody = Buffer.alloc(0);
const none: HeaderList = [];

interface Question {
  /** Of everything that is asked: what is true of one path or one client is not true of another. */
  readonly key: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** A denial for a request that cannot be asked about, since the other server could understand it differently than the backend. */
function questionOf(request: ClientRequest, names: readonly string[]): Question | Denial {
  const headers: (readonly [string, string])[] = [
    ['X-Forwarded-Method', request.method],
    ['X-Forwarded-Proto', request.secure ? 'https' : 'http'],
    ['X-Forwarded-Host', header(request.headers, 'host') ?? ''],
    ['X-Forwarded-Uri', request.path],
    ['X-Forwarded-For', request.address],
  ];
  for (const name of names) {
    const values = valuesOf(request.headers, normal(name));
    if (values.length > 1 && normal(name) !== 'cookie') return deny('bad-request', `The field ${name} must be sent only once.`);
    if (values.length > 0) headers.push([name, values.join('; ')]);
  }
  if (!headers.every(([, value]) => isHeaderValue(value))) return deny('bad-request', errors['bad-request'].text);
  const asked = JSON.stringify(headers);
  if (asked.length > limits.authQuestionBytes) return deny('header-too-large', 'Credentials and path are too long.');
  return { key: digest(asked).toString('base64'), headers };
}

/** Of all spellings, since backends may take `_` for `-`. */
function valuesOf(headers: HeaderList, normalName: string): string[] {
  return [...fields(headers)].flatMap(([name, value]) => (normal(name) === normalName ? [value] : []));
}

function normal(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

function pick(headers: Headers, names: readonly string[]): HeaderList {
  const picked: HeaderDraft = [];
  for (const name of names) {
    const value = headers.get(name);
    if (value !== null && isHeaderValue(value)) picked.push(name, value);
  }
  return picked;
}

function identityOf(headers: Headers, name: string | undefined): Identity | undefined {
  const subject = name === undefined ? null : headers.get(name);
  return subject === null || subject === '' ? undefined : { subject, by: 'forward-auth' };
}

/** @throws ForegateError `bad-request` for names that are none, or not for a policy to say */
function checkNames({ headers, forward, subject, relay }: ForwardAuthOptions): void {
  const lists = { headers, forward, relay, subject: subject === undefined ? [] : [subject] };
  for (const [option, names] of Object.entries(lists)) {
    const wrong = names.find((name) => !isHeaderName(name) || isReserved(normal(name), option));
    if (wrong === undefined) continue;
    throw new ForegateError('bad-request', `"${option}" names ${JSON.stringify(wrong)}, which is not possible there.`);
  }
}

/** Fields of one hop, about a body, or that the gateway says itself. */
function isReserved(name: string, option: string): boolean {
  if (isHopByHop(name) || ownNames.has(name) || name.startsWith('grip-')) return true;
  if (option === 'headers') return name.startsWith('x-forwarded-') || name === 'content-type';
  if (option === 'relay') return name === 'set-cookie' || name.startsWith('sec-websocket-');
  return ownPrefixes.some((prefix) => name.startsWith(prefix));
}

const ownNames: ReadonlySet<string> = new Set([
  'host',
  'expect',
  'accept-encoding',
  'content-length',
  'content-encoding',
  'connection-id',
  'keep-alive-interval',
]);
const ownPrefixes = ['content-', 'sec-websocket-', 'meta-', 'set-meta-'];
