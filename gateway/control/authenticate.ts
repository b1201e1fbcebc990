/**
 * Who may use the control API: the three ways in which GRIP's client libraries prove themselves (GRIP chapter 9), and client
 * certificates. Secrets are compared in constant time; keys are made once.
 */
import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { realClock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { deny } from '../core/policy.ts';
import { isPromise } from '../core/promise.ts';
import { digest, isSameDigest, secretBytes } from '../core/secret.ts';
import type { Denial, Identity } from '../core/session.ts';
import { tokenVerifier } from '../../policies/token-verifier.ts';
import { isFromAnotherSite, isUnderForeignName } from './browser-calls.ts';

/**
 * Every way that is listed here opens the control API; with none of them everybody may call it. Secrets are resolved. Keys are
 * plain text, `base64:` and the encoded bytes, or a PEM text.
 */
export interface ControlAuth {
  /** `Authorization: Bearer <key>`. A key written as `base64:...` is taken in that form and decoded. */
  readonly bearer?: readonly string[];
  /** `Authorization: Bearer <JWT>` with this issuer and a time of expiry: HS256, RS256 or ES256, as the key says. */
  readonly jwt?: readonly { readonly issuer: string; readonly key: string }[];
  readonly basic?: readonly { readonly user: string; readonly password: string }[];
  /** A client certificate that the server's `ca` vouches for; the server must ask for one. */
  readonly mtls?: boolean;
}

export type Admission = { readonly kind: 'admitted'; readonly identity: Identity | undefined } | Denial;
export type Authenticate = (request: IncomingMessage) => Admission;

/** @throws ForegateError `bad-request` for a key that is none. */
export function createAuthenticate(auth: ControlAuth, log: Log): Authenticate {
  const checks = checksOf(auth, log);
  if (!checks.basic && !checks.bearer && !auth.mtls) return admitLocal;
  const refused = refusal(checks);
  return (request) => {
    const identity =
      (auth.mtls ? certificateIdentity(request) : undefined) ?? headerIdentity(request.headers.authorization, checks);
    if (!identity) return refused;
    return isUnasked(identity) && isFromAnotherSite(request) ? otherSite : { kind: 'admitted', identity };
  };
}

/** What a browser proves without being asked; a token it only sends where a page has it. */
function isUnasked({ by }: Identity): boolean {
  return by === 'basic' || by === 'mtls';
}

type Check = (credentials: string) => Identity | undefined;

interface Checks {
  readonly basic: Check | undefined;
  readonly bearer: Check | undefined;
}

function checksOf({ basic = [], bearer = [], jwt = [] }: ControlAuth, log: Log): Checks {
  const bearerChecks = [...(bearer.length > 0 ? [checkKey(bearer)] : []), ...(jwt.length > 0 ? [checkToken(jwt, log)] : [])];
  return {
    basic: basic.length > 0 ? checkPassword(basic) : undefined,
    bearer: bearerChecks.length > 0 ? firstOf(bearerChecks) : undefined,
  };
}

function firstOf(checks: readonly Check[]): Check {
  return (credentials) => {
    for (const check of checks) {
      const identity = check(credentials);
      if (identity) return identity;
    }
    return undefined;
  };
}

const openToAll: Admission = { kind: 'admitted', identity: undefined };

const otherSite = deny('forbidden', 'Pages of other sites may not call this.');
const otherHost = deny(
  'forbidden',
  'Without control.auth a browser calls this by an IP address or as localhost, and by no other name.',
);

/** Without credentials only this machine can call. Its browser can, too, on behalf of any page: that is refused. */
function admitLocal(request: IncomingMessage): Admission {
  if (isFromAnotherSite(request)) return otherSite;
  return isUnderForeignName(request) ? otherHost : openToAll;
}

function refusal({ basic, bearer }: Checks): Denial {
  const headers: string[] = [];
  if (bearer) headers.push('WWW-Authenticate', 'Bearer realm="foregate"');
  if (basic) headers.push('WWW-Authenticate', 'Basic realm="foregate", charset="UTF-8"');
  // A 401 must name a way to try again; for certificates there is none inside HTTP.
  if (headers.length === 0) return deny('forbidden', 'A client certificate is needed.');
  return deny('unauthorized', 'Credentials are missing or not valid.', { headers });
}

function headerIdentity(authorization: string | undefined, { basic, bearer }: Checks): Identity | undefined {
  const [, scheme = '', credentials = ''] = /^([A-Za-z]+) +(\S+)$/.exec(authorization ?? '') ?? [];
  if (/^bearer$/i.test(scheme)) return bearer?.(credentials);
  if (/^basic$/i.test(scheme)) return basic?.(credentials);
  return undefined;
}

function checkPassword(users: readonly { readonly user: string; readonly password: string }[]): Check {
  const known = users.map(({ user, password }) => ({
    digest: digest(`${user}:${password}`),
    identity: { subject: user, by: 'basic' },
  }));
  return (credentials) => known[equalIndex(known, digest(Buffer.from(credentials, 'base64')))]?.identity;
}

function checkKey(keys: readonly string[]): Check {
  const known = keys.flatMap((key, i) => {
    const identity = { subject: `key ${i + 1}`, by: 'bearer' };
    return formsOf(key).map((form) => ({ digest: digest(form), identity }));
  });
  return (credentials) => known[equalIndex(known, digest(credentials))]?.identity;
}

/** Some publishers send a `base64:` key as it is written, others the bytes it stands for. */
function formsOf(key: string): readonly (string | Buffer)[] {
  return key.startsWith('base64:') ? [key, secretBytes(key)] : [key];
}

/** Looks at every entry, so the time tells nothing about where or whether one is equal. */
function equalIndex(known: readonly { readonly digest: Buffer }[], presented: Buffer): number {
  let found = -1;
  for (let i = 0; i < known.length; i += 1) {
    const entry = known[i];
    if (entry && isSameDigest(entry.digest, presented)) found = i;
  }
  return found;
}

function checkToken(issuers: readonly { readonly issuer: string; readonly key: string }[], log: Log): Check {
  return firstOf(issuers.map(({ issuer, key }) => checkIssuer(issuer, key, log)));
}

function checkIssuer(issuer: string, key: string, log: Log): Check {
  const keyOption = key.trimStart().startsWith('-----BEGIN') ? { publicKey: key } : { secret: key };
  const verify = tokenVerifier({ ...keyOption, issuer, clockToleranceMs: 0 }, { clock: realClock, log });
  return (token) => {
    const checked = verify(token);
    // Only a key set would have to be waited for, and here is none.
    if (isPromise(checked) || checked.kind !== 'valid') return undefined;
    const { claims } = checked;
    // A token without an end would open this door for ever once it has leaked.
    return claims.exp === undefined ? undefined : { subject: claims.sub ?? issuer, by: 'jwt', claims };
  };
}

/** Remembered per connection, since reading a certificate costs more than a publish. */
const certificateIdentities = new WeakMap<TLSSocket, Identity>();

function certificateIdentity({ socket }: IncomingMessage): Identity | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const known = certificateIdentities.get(socket);
  if (known) return known;
  const identity = { subject: String(socket.getPeerCertificate().subject?.CN ?? 'certificate'), by: 'mtls' };
  certificateIdentities.set(socket, identity);
  return identity;
}
