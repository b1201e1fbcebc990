/**
 * Lets in who has a valid JSON Web Token, once per session, and ends the session with the token. Follows RFC 6750 (bearer tokens)
 * and RFC 8725 (best practices for JWTs).
 */
import { Type } from 'typebox';
import { Duration, toMs } from '../gateway/core/duration.ts';
import { definePolicy, type Policy, type Verdict } from '../gateway/core/policy.ts';
import { isPromise } from '../gateway/core/promise.ts';
import { Pem, Secret } from '../gateway/core/secret.ts';
import type { SessionView } from '../gateway/core/session.ts';
import { missingToken, refuseToken, TokenPlaces } from './bearer.ts';
import { findCredential } from './credential.ts';
import { Expiry } from './expiry.ts';
import { publicAlgorithms, secretAlgorithms, tokenVerifier, type CheckedToken } from './token-verifier.ts';

const OneOrMore = (description: string) =>
  Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })], { description });

const JwtOptions = Type.Object(
  {
    secret: Type.Optional(
      Secret({
        description:
          'Shared secret, for HS256 and its kind; `base64:...` for bytes. One of `secret`, `publicKey` and `jwks` is needed.',
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
    algorithms: Type.Optional(
      Type.Array(Type.Enum([...secretAlgorithms, ...publicAlgorithms]), {
        minItems: 1,
        description: 'Algorithms that are accepted. Without it: HS256 for a secret, RS256 and ES256 for public keys.',
      }),
    ),
    issuer: Type.Optional(OneOrMore('The `iss` a token must have, or a list of them.')),
    audience: Type.Optional(OneOrMore('The `aud` a token must have, or a list of which it must have one.')),
    clockTolerance: Duration({ default: '0s', description: 'How far the clock of the issuer may be off.' }),
    from: TokenPlaces,
    required: Type.Boolean({
      default: true,
      description: 'Whether a client without a token is refused. An invalid token is always refused.',
    }),
    forward: Type.Boolean({ default: false, description: 'Whether the token goes on to the backend.' }),
    closeAtExpiry: Type.Boolean({
      default: true,
      description: 'Whether a WebSocket is closed when its token expires, with code 4401.',
    }),
  },
  { additionalProperties: false },
);

export const jwt = definePolicy({
  name: 'jwt',
  summary: 'Lets in who has a valid JSON Web Token.',
  options: JwtOptions,
  create(options, { clock, log }): Policy {
    const clockToleranceMs = toMs(options.clockTolerance);
    const verify = tokenVerifier({ ...options, clockToleranceMs }, { clock, log });
    const expiry = new Expiry(clock);

    const admit = (session: SessionView, checked: CheckedToken): Verdict => {
      if (checked.kind === 'invalid') return refuseToken(checked.detail);
      const { sub, exp } = checked.claims;
      session.identity = { subject: typeof sub === 'string' ? sub : '', by: 'jwt', claims: checked.claims };
      if (session.transport === 'websocket') watch(session, exp);
      return undefined;
    };
    const watch = (session: SessionView, exp: number | undefined): void => {
      if (options.closeAtExpiry && exp !== undefined) expiry.watch(session, exp * 1000 + clockToleranceMs);
    };
    return {
      connect(session) {
        const found = findCredential(session.request, options.from);
        if (found.kind === 'none') return options.required ? missingToken : undefined;
        if (found.kind === 'unclear') return refuseToken(found.detail);
        if (!options.forward) session.consumed.push(...found.places);
        const checked = verify(found.value);
        return isPromise(checked) ? checked.then((later) => admit(session, later)) : admit(session, checked);
      },
      /** Only now it is known whether a plain request is held: others end by themselves. */
      subscribe(session) {
        const exp = session.identity?.by === 'jwt' ? session.identity.claims?.['exp'] : undefined;
        if (typeof exp === 'number' && !expiry.watches(session)) watch(session, exp);
      },
      disconnect: (session) => expiry.forget(session),
    };
  },
});
