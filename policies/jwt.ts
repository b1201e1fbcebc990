/**
 * Lets in who has a valid JSON Web Token, once per session, and ends the session with the token unless a newer one comes in time.
 * Follows RFC 6750 (bearer tokens) and RFC 8725 (best practices for JWTs).
 */
import { Type, type Static } from 'typebox';
import { Duration, toMs } from '../gateway/core/duration.ts';
import { errors, ForegateError } from '../gateway/core/errors.ts';
import { definePolicy, deny, type Policy, type PolicyContext, type Verdict } from '../gateway/core/policy.ts';
import { isPromise, type MaybePromise } from '../gateway/core/promise.ts';
import { Pem, Secret } from '../gateway/core/secret.ts';
import type { Denial, Identity, SessionView } from '../gateway/core/session.ts';
import { lackingToken, missingToken, refuseToken, TokenPlaces } from './bearer.ts';
import { findCredential } from '../gateway/core/credential.ts';
import { Expiry, type Warning } from './expiry.ts';
import { ForwardClaims } from './forward-claims.ts';
import { issuersVerifier } from './token-issuers.ts';
import { RenewedTokens, renewalReader } from './token-renewal.ts';
import { publicAlgorithms, secretAlgorithms, tokenVerifier, type CheckedToken, type TokenVerifier } from './token-verifier.ts';

const OneOrMore = (description: string) =>
  Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })], { description });
const ClaimValue = Type.Union([Type.String(), Type.Number(), Type.Boolean()]);

/** How the tokens of one issuer are checked; `issuer` apart. */
const rules = {
  secret: Type.Optional(
    Secret({
      description:
        'Shared secret, for HS256 and its kind; `base64:...` for bytes. One of `secret`, `publicKey`, `jwks` and `discovery` is needed.',
    }),
  ),
  publicKey: Type.Optional(Pem({ description: 'Public key or certificate of the issuer (PEM), RSA or EC.' })),
  jwks: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'URL of the key set of the issuer. It is read when first needed, every ten minutes, and for an unknown key id at most once in ten seconds; known keys are good for an hour while it cannot be read.',
    }),
  ),
  discovery: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'URL of the issuer, or of its metadata (`.../.well-known/openid-configuration`): names the key set, and is read with it. Must be https, save on this machine. The `issuer` in it must be the one given, or without one this URL up to `/.well-known/`, and so must the `iss` of each token.',
    }),
  ),
  algorithms: Type.Optional(
    Type.Array(Type.Enum([...secretAlgorithms, ...publicAlgorithms]), {
      minItems: 1,
      description: 'Algorithms that are accepted. Without it: HS256 for a secret, RS256 and ES256 for public keys.',
    }),
  ),
  audience: Type.Optional(OneOrMore('The `aud` a token must have, or a list of which it must have one.')),
  claims: Type.Optional(
    Type.Record(Type.String(), Type.Union([ClaimValue, Type.Array(ClaimValue, { minItems: 1 })]), {
      description:
        'Claims a token must have, each with one of these values; of a claim that is a list one must be among them. Other tokens get status 403.',
    }),
  ),
  scopes: Type.Optional(
    Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description: 'Scopes a token must have, all of them, in its `scope` or `scp`. Other tokens get status 403.',
    }),
  ),
};

const JwtOptions = Type.Object(
  {
    ...rules,
    issuer: Type.Optional(OneOrMore('The `iss` a token must have, or a list of them.')),
    issuers: Type.Optional(
      Type.Array(
        Type.Object(
          { issuer: Type.String({ minLength: 1, description: 'The `iss` of the tokens that these rules are for.' }), ...rules },
          { additionalProperties: false },
        ),
        {
          minItems: 1,
          description:
            'Several issuers, each with rules of its own, instead of the options above. The `iss` of a token chooses the rules, which then check all of it.',
        },
      ),
    ),
    clockTolerance: Duration({ default: '0s', description: 'How far the clock of the issuer may be off.' }),
    from: TokenPlaces,
    required: Type.Boolean({
      default: true,
      description: 'Whether a client without a token is refused. An invalid token is always refused.',
    }),
    forward: Type.Boolean({
      default: false,
      description: 'Whether the token goes on to the backend. A renewed one takes its place where it stood in a header field.',
    }),
    forwardClaims: Type.Optional(
      Type.Record(Type.String(), Type.String({ minLength: 1 }), {
        description:
          'Header fields for the backend, each with the name of the claim that it carries, in place of what the client sent under that name in any spelling. Lists are joined by commas. A token whose claim no field could carry as it is (control characters, spaces at its ends, an object) is refused.',
      }),
    ),
    closeAtExpiry: Type.Boolean({
      default: true,
      description:
        'Whether a session ends when its token expires: a WebSocket with code 4401, a held request by the end of its answer or status 401.',
    }),
    warn: Type.Optional(
      Type.Object(
        {
          before: Duration({
            default: '30s',
            description: 'How long before the end. A token that has less left when it arrives is not warned of.',
          }),
          text: Type.String({ minLength: 1, description: 'The text message that is sent.' }),
        },
        { additionalProperties: false, description: 'Tells the client of a WebSocket that its token is about to expire.' },
      ),
    ),
    renewal: Type.Optional(
      Type.Object(
        {
          member: Type.String({ minLength: 1, default: 'type', description: 'The member that tells such a message apart.' }),
          value: Type.String({ minLength: 1, description: 'What that member says.' }),
          token: Type.String({ minLength: 1, default: 'token', description: 'The member with the token.' }),
          answer: Type.Optional(
            Type.String({ minLength: 1, description: 'The text message that answers a token that is taken.' }),
          ),
        },
        {
          additionalProperties: false,
          description:
            'Messages by which the client of a WebSocket hands in a newer token: JSON objects as text. They do not go on to the backend. The token must be valid, of the same issuer and the same subject; any other ends the session with code 4401.',
        },
      ),
    ),
  },
  { additionalProperties: false },
);
type JwtOptions = Static<typeof JwtOptions>;

export const jwt = definePolicy({
  name: 'jwt',
  summary: 'Lets in who has a valid JSON Web Token.',
  options: JwtOptions,
  create(options, context): Policy {
    const verify = verifierOf(options, context);
    const expiry = new Expiry(context.clock, { text: 'The token has expired.', warning: warningOf(options) });
    const forwarded = options.forwardClaims && new ForwardClaims(options.forwardClaims);
    const read = reader(options, verify, forwarded);
    const renewed = renewedTokens(options);

    const admit = (session: SessionView, identity: Identity | Denial): Verdict => {
      if ('kind' in identity) return identity;
      session.identity = identity;
      // A plain request ends by itself.
      if (session.transport !== 'request') expiry.watch(session, identity.expiresAt);
      return undefined;
    };
    const renew = renewer({ read, admit, renewed, context });
    return {
      connect(session) {
        const found = findCredential(session.request, options.from);
        if (found.kind === 'none') return options.required ? missingToken : undefined;
        if (found.kind === 'unclear') return refuseToken(found.detail);
        if (!options.forward) session.consumed.push(...found.places);
        const identity = read(found.value);
        return isPromise(identity) ? identity.then((later) => admit(session, later)) : admit(session, identity);
      },
      /** Only now it is known that a plain request is held: others end by themselves. */
      held(session) {
        if (session.identity?.by === 'jwt') expiry.watch(session, session.identity.expiresAt);
      },
      disconnect: (session) => expiry.forget(session),
      renew,
      ...(options.renewal && { message: renewing(options.renewal, renew) }),
      ...((forwarded ?? renewed) && {
        request: (session, draft) => {
          renewed?.write(draft, session);
          forwarded?.write(draft, session.identity?.by === 'jwt' ? session.identity.claims : undefined);
          return undefined;
        },
      }),
    };
  },
});

/** @throws ForegateError `bad-request` for rules that do not go together */
function verifierOf(options: JwtOptions, { clock, log }: PolicyContext): TokenVerifier {
  const clockToleranceMs = toMs(options.clockTolerance);
  const { issuers, ...single } = options;
  if (issuers === undefined) return tokenVerifier({ ...single, clockToleranceMs }, { clock, log });
  const beside = ['issuer', ...Object.keys(rules)].find((name) => name in single);
  if (beside !== undefined)
    throw new ForegateError('bad-request', `With "issuers", "${beside}" belongs to the entries of that list.`);
  return issuersVerifier(
    issuers.map((one) => ({ ...one, clockToleranceMs })),
    { clock, log },
  );
}

function warningOf({ warn }: JwtOptions): Warning | undefined {
  return warn && { beforeMs: toMs(warn.before), text: Buffer.from(warn.text) };
}

/** Who a token is for, or why it is not taken. */
type TokenReader = (token: string) => MaybePromise<Identity | Denial>;

function reader(options: JwtOptions, verify: TokenVerifier, forwarded: ForwardClaims | undefined): TokenReader {
  const toleranceMs = toMs(options.clockTolerance);
  const identityOf = (checked: CheckedToken): Identity | Denial => {
    if (checked.kind === 'invalid') return refuseToken(checked.detail);
    if (checked.kind === 'insufficient') return lackingToken(checked.detail);
    const { claims } = checked;
    const flaw = forwarded?.flawIn(claims);
    if (flaw !== undefined) return refuseToken(`The claim ${flaw} of the token cannot be told to the backend.`);
    const { sub, exp } = claims;
    const expires = options.closeAtExpiry && exp !== undefined && { expiresAt: exp * 1000 + toleranceMs };
    return { subject: typeof sub === 'string' ? sub : '', by: 'jwt', claims, ...expires };
  };
  return (token) => {
    const checked = verify(token);
    return isPromise(checked) ? checked.then(identityOf) : identityOf(checked);
  };
}

function renewedTokens({ forward, from }: JwtOptions): RenewedTokens | undefined {
  return forward && from.header !== undefined ? new RenewedTokens(from.header) : undefined;
}

interface RenewalParts {
  readonly read: TokenReader;
  readonly admit: (session: SessionView, identity: Identity | Denial) => Verdict;
  readonly renewed: RenewedTokens | undefined;
  readonly context: PolicyContext;
}

type Renew = NonNullable<Policy['renew']>;

/** By whichever way it comes: the same checks, and the same subject. */
function renewer({ read, admit, renewed, context }: RenewalParts): Renew {
  const settle = (session: SessionView, token: string, identity: Identity | Denial): Verdict => {
    if ('kind' in identity) return identity;
    if (!isSamePerson(session.identity, identity)) return refuseToken('The token is of another subject.');
    if (context.revocations.covers(identity)) return deny('revoked', errors.revoked.text);
    admit(session, identity);
    renewed?.note(session, token);
    return consumed;
  };
  return (session, token) => {
    if (session.identity?.by !== 'jwt') return undefined;
    const identity = read(token);
    return isPromise(identity) ? identity.then((later) => settle(session, token, later)) : settle(session, token, identity);
  };
}

function renewing(form: NonNullable<JwtOptions['renewal']>, renew: Renew): NonNullable<Policy['message']> {
  const tokenIn = renewalReader(form);
  const answer = form.answer === undefined ? undefined : Buffer.from(form.answer);
  const answered = (session: SessionView, verdict: Verdict): Verdict => {
    if (verdict === undefined) return refuseToken('The token is of another subject.');
    if (verdict === consumed && answer !== undefined) session.send({ kind: 'text', data: answer });
    return verdict;
  };
  return (session, message) => {
    const meant = tokenIn(message);
    if (meant.kind === 'other') return undefined;
    if (meant.kind === 'unclear') return refuseToken('The message holds no token that could be checked.');
    const verdict = renew(session, meant.token);
    return isPromise(verdict) ? verdict.then((later) => answered(session, later)) : answered(session, verdict);
  };
}

const consumed: Verdict = { kind: 'consumed' };

/** Who has no subject cannot be told from others. */
function isSamePerson(before: Identity | undefined, now: Identity): boolean {
  return (
    before?.by === 'jwt' && now.subject !== '' && before.subject === now.subject && before.claims?.['iss'] === now.claims?.['iss']
  );
}
