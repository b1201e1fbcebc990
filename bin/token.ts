/** `foregate token`: a signed token (RFC 7519) to try a configuration with. */
import type { KeyObject } from 'node:crypto';
import { Command, Option } from 'commander';
import jsonwebtoken, { type Algorithm, type SignOptions } from 'jsonwebtoken';
import { algorithmOf, signingKey } from '../gateway/backend/signing-key.ts';
import { toMs } from '../gateway/core/duration.ts';
import { collectPairs, readSecret } from './options.ts';

interface TokenOptions {
  readonly key: string;
  readonly algorithm?: Algorithm;
  readonly subject?: string;
  readonly issuer?: string;
  readonly audience?: string;
  readonly expires: string;
  readonly claim?: Readonly<Record<string, string>>;
}

const algorithms = ['HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256'];

export function tokenCommand(): Command {
  return new Command('token')
    .description('Prints a signed test token.')
    .requiredOption('-k, --key <key>', 'a secret, base64:... or file:PATH (a secret or a private key as PEM)')
    .addOption(new Option('-a, --algorithm <name>', 'instead of the one that fits the key').choices(algorithms))
    .option('-s, --subject <text>', 'the claim "sub"')
    .option('-i, --issuer <text>', 'the claim "iss"')
    .option('--audience <text>', 'the claim "aud"')
    .option('-e, --expires <duration>', 'how long it is valid, such as 30s, 5m, 1h', '1h')
    .option('--claim <name=value>', 'any other claim, as often as needed; values are JSON, or else text', collectPairs)
    .action((options: TokenOptions) => console.log(signed(options)));
}

function signed({ key, algorithm, subject, issuer, audience, expires, claim = {} }: TokenOptions): string {
  const signing = readKey(key);
  const claims = Object.fromEntries(Object.entries(claim).map(([name, text]) => [name, claimValue(text)]));
  const terms: SignOptions = {
    algorithm: algorithm ?? algorithmOf(signing),
    expiresIn: Math.ceil(toMs(expires) / 1000),
    ...(subject !== undefined && { subject }),
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience }),
  };
  return jsonwebtoken.sign(claims, signing, terms);
}

function readKey(text: string): KeyObject {
  const secret = readSecret(text);
  try {
    return signingKey(secret);
  } catch (cause) {
    throw new Error('The key is neither a secret nor a private key (RSA or P-256) that can be read.', { cause });
  }
}

function claimValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
