/** Lets in who has a token that its issuer calls active (RFC 7662), and asks again as long as the session lasts. */
import { Type, type Static } from 'typebox';
import type { Clock } from '../gateway/core/clock.ts';
import { Duration, toMs } from '../gateway/core/duration.ts';
import { errors, ForegateError, toForegateError, type ErrorCode } from '../gateway/core/errors.ts';
import type { Log } from '../gateway/core/log.ts';
import { definePolicy, deny, type Policy, type Verdict } from '../gateway/core/policy.ts';
import { isPromise, type MaybePromise } from '../gateway/core/promise.ts';
import { Secret } from '../gateway/core/secret.ts';
import type { Denial, Identity, SessionView } from '../gateway/core/session.ts';
import { Answers, Questions } from './answers.ts';
import { AuthServer, type AuthAnswer, type AuthCall } from './auth-server.ts';
import { missingToken, refuseToken, TokenPlaces } from './bearer.ts';
import { findCredential } from '../gateway/core/credential.ts';
import { digest } from '../gateway/core/secret.ts';
import { Expiry } from './expiry.ts';
import { Recheck, type Finding } from './recheck.ts';

const IntrospectOptions = Type.Object(
  {
    url: Type.String({ minLength: 1, description: 'URL of the introspection endpoint of the issuer.' }),
    clientId: Type.String({ minLength: 1, description: 'The id under which Foregate calls it, by HTTP Basic.' }),
    clientSecret: Secret({ description: 'The secret that belongs to the id.' }),
    audience: Type.Optional(
      Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })], {
        description: 'The `aud` a token must have, or a list of which it must have one.',
      }),
    ),
    scopes: Type.Array(Type.String({ pattern: '^[\\x21\\x23-\\x5B\\x5D-\\x7E]+$' }), {
      default: [],
      description: 'What the `scope` of a token must have, all of it; else status 403.',
    }),
    from: TokenPlaces,
    required: Type.Boolean({
      default: true,
      description: 'Whether a client without a token is refused. A token that is not active is always refused.',
    }),
    forward: Type.Boolean({ default: false, description: 'Whether the token goes on to the backend.' }),
    timeout: Duration({ default: '5s', description: 'How long a whole answer may take; without one the status is 503.' }),
    cache: Duration({
      default: '30s',
      description:
        'How long a token counts as active without another question, at most until its `exp`. That a token is not active is remembered for ten seconds at most.',
    }),
    recheck: Duration({
      default: '60s',
      description:
        'How often the issuer is asked again, past the cache, about the token of a WebSocket or a held request. If it is not active any more the session ends, a WebSocket with code 4401; after three questions in a row without an answer with 1013. `0s` asks never. A session always ends with the `exp` of its token.',
    }),
  },
  { additionalProperties: false },
);
type IntrospectOptions = Static<typeof IntrospectOptions>;

export const introspect = definePolicy({
  name: 'introspect',
  summary: 'Lets in who has a token that its issuer calls active.',
  options: IntrospectOptions,
  create(options, { clock, log }): Policy {
    const issuer = new Issuer(options, clock, log);
    const expiry = new Expiry(clock, { text: 'The token has expired.' });
    const admitted = new WeakMap<SessionView, Active>();
    const everyMs = toMs(options.recheck);

    const admit = (session: SessionView, active: Active): void => {
      admitted.set(session, active);
      session.identity = identityOf(active);
    };
    /** An issuer may prolong a token: each answer has its own end. */
    const watchEnd = (session: SessionView, { endsAt }: Active): void => {
      if (endsAt !== undefined) expiry.watch(session, endsAt);
    };
    const check = async (session: SessionView): Promise<Finding> => {
      const found = findCredential(session.request, options.from);
      const standing = await issuer.ask(found.kind === 'found' ? found.value : '');
      if (standing.kind === 'failed') return 'unknown';
      if (standing.kind === 'refuse') return standing.denial;
      if (session.identity?.by === 'introspect') session.identity = identityOf(standing);
      watchEnd(session, standing);
      return 'good';
    };
    const recheck = new Recheck({ everyMs, clock, check });
    const watch = (session: SessionView): void => {
      const active = admitted.get(session);
      if (active === undefined) return;
      watchEnd(session, active);
      if (everyMs > 0) recheck.watch(session);
    };
    const settle = (session: SessionView, standing: Standing): Verdict => {
      if (standing.kind === 'refuse') return standing.denial;
      if (standing.kind === 'failed') return deny(standing.code, errors[standing.code].text);
      admit(session, standing);
      if (session.transport === 'websocket') watch(session);
      return undefined;
    };
    return {
      connect(session) {
        const found = findCredential(session.request, options.from);
        if (found.kind === 'none') return options.required ? missingToken : undefined;
        if (found.kind === 'unclear') return refuseToken(found.detail);
        if (!options.forward) session.consumed.push(...found.places);
        const standing = issuer.standing(found.value);
        return isPromise(standing) ? standing.then((later) => settle(session, later)) : settle(session, standing);
      },
      /** Only now it is known that a plain request is held: others end by themselves. */
      held: watch,
      disconnect(session) {
        expiry.forget(session);
        recheck.forget(session);
      },
    };
  },
});

type Standing =
  Active | { readonly kind: 'refuse'; readonly denial: Denial } | { readonly kind: 'failed'; readonly code: ErrorCode };

interface Active {
  readonly kind: 'active';
  /** All of the answer. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly endsAt: number | undefined;
}

function identityOf({ claims, endsAt }: Active): Identity {
  const subject = typeof claims['sub'] === 'string' ? claims['sub'] : '';
  return { subject, by: 'introspect', claims, ...(endsAt !== undefined && { expiresAt: endsAt }) };
}

/** So long a token that is not active is remembered. */
const refusedMs = 10_000;

/** Asks, and remembers. Refusals apart, or invented tokens would push out the good ones. */
class Issuer {
  readonly #options: IntrospectOptions;
  readonly #clock: Clock;
  readonly #server: AuthServer;
  readonly #authorization: string;
  readonly #active: Answers<Active>;
  readonly #refused: Answers<Standing>;
  readonly #questions = new Questions<Standing>();
  readonly #cacheMs: number;

  constructor(options: IntrospectOptions, clock: Clock, log: Log) {
    const { url, timeout, cache, clientId, clientSecret } = options;
    this.#options = options;
    this.#clock = clock;
    this.#server = new AuthServer({ url, timeoutMs: toMs(timeout), policy: 'introspect', clock, log });
    this.#authorization = basic(clientId, clientSecret);
    this.#active = new Answers(clock);
    this.#refused = new Answers(clock);
    this.#cacheMs = toMs(cache);
  }

  /** At once for a token that was asked about not long ago. */
  standing(token: string): MaybePromise<Standing> {
    const key = keyOf(token);
    return this.#active.get(key) ?? this.#refused.get(key) ?? this.ask(token);
  }

  /** Without what is remembered. */
  ask(token: string): Promise<Standing> {
    const key = keyOf(token);
    return this.#questions.ask(key, async () => {
      try {
        const standing = standingOf(claimsOf(await this.#server.ask(this.#call(token))), this.#options, this.#clock.now());
        this.#remember(key, standing);
        return standing;
      } catch (thrown) {
        const error = toForegateError(thrown);
        this.#server.warn(error);
        return { kind: 'failed', code: error.code };
      }
    });
  }

  #call(token: string): AuthCall {
    const form = new URLSearchParams({ token, token_type_hint: 'access_token' });
    return {
      method: 'POST',
      headers: [
        ['Authorization', this.#authorization],
        ['Content-Type', 'application/x-www-form-urlencoded'],
        ['Accept', 'application/json'],
      ],
      body: form.toString(),
    };
  }

  #remember(key: string, standing: Standing): void {
    if (standing.kind === 'active') {
      const leftMs = (standing.endsAt ?? Infinity) - this.#clock.now();
      this.#active.keep(key, standing, Math.min(this.#cacheMs, leftMs));
      this.#refused.forget(key);
    } else {
      this.#active.forget(key);
      this.#refused.keep(key, standing, Math.min(this.#cacheMs, refusedMs));
    }
  }
}

function keyOf(token: string): string {
  return digest(token).toString('base64');
}

/** RFC 6749 section 2.3.1: both are encoded as in a form. */
function basic(id: string, secret: string): string {
  const encoded = [id, secret].map((text) => new URLSearchParams({ '': text }).toString().slice(1)).join(':');
  return `Basic ${Buffer.from(encoded).toString('base64')}`;
}

/** @throws ForegateError `auth-unavailable` for an answer that says nothing about the token */
function claimsOf({ status, body }: AuthAnswer): Readonly<Record<string, unknown>> {
  if (status !== 200) throw new ForegateError('auth-unavailable', `It answered with status ${status}.`);
  if (body === undefined) throw new ForegateError('auth-unavailable', 'Its answer is too large.');
  const answer = parsed(body.toString());
  if (!isRecord(answer) || typeof answer['active'] !== 'boolean' || !isTime(answer['exp']) || !isTime(answer['nbf']))
    throw new ForegateError('auth-unavailable', 'Its answer is not one of RFC 7662.');
  return answer;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Told apart from a good answer by the caller; the text may hold claims, so it goes nowhere.
    return undefined;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTime(value: unknown): value is number | undefined {
  return value === undefined || (typeof value === 'number' && Number.isFinite(value));
}

function standingOf(claims: Readonly<Record<string, unknown>>, terms: IntrospectOptions, now: number): Standing {
  const { active, exp, nbf, aud } = claims;
  const endsAt = typeof exp === 'number' ? exp * 1000 : undefined;
  if (active !== true) return refused('The token is not active.');
  if (endsAt !== undefined && endsAt <= now) return refused('The token has expired.');
  if (typeof nbf === 'number' && nbf * 1000 > now) return refused('The token is not valid yet.');
  if (terms.audience !== undefined && !listOf(terms.audience).some((wanted) => listOf(aud).includes(wanted)))
    return refused('The token is meant for another audience.');
  const granted = typeof claims['scope'] === 'string' ? claims['scope'].split(' ') : [];
  if (!terms.scopes.every((scope) => granted.includes(scope))) return { kind: 'refuse', denial: lacksScope(terms.scopes) };
  return { kind: 'active', claims, endsAt };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

function refused(detail: string): Standing {
  return { kind: 'refuse', denial: refuseToken(detail) };
}

function lacksScope(scopes: readonly string[]): Denial {
  const challenge = `Bearer error="insufficient_scope", scope="${scopes.join(' ')}"`;
  return deny('forbidden', 'The token does not allow this.', { headers: ['WWW-Authenticate', challenge] });
}
