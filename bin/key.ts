/** `foregate key`: a new API key, and the entry by which the policy `api-key` knows it without having it. */
import { randomBytes } from 'node:crypto';
import { Command, InvalidArgumentError } from 'commander';
import { expiryTime, keyDigest } from '../policies/key-file.ts';

interface KeyOptions {
  readonly name: string;
  readonly expires?: string;
}

export function keyCommand(): Command {
  return new Command('key')
    .description('Makes an API key: prints it, this once, and below it the entry for the file that the policy "api-key" reads.')
    .requiredOption('-n, --name <text>', 'whose key it is')
    .option('-e, --expires <date>', 'when it ends, such as 2027-01-31 or 2027-01-31T12:00:00Z', parseExpires)
    .action((options: KeyOptions) => console.log(newKey(options)));
}

/** Two lines. JSON texts are YAML texts, too. */
function newKey({ name, expires }: KeyOptions): string {
  const key = `fg_${randomBytes(32).toString('base64url')}`;
  const end = expires === undefined ? '' : `, expires: ${JSON.stringify(expires)}`;
  return `${key}\n- { name: ${JSON.stringify(name)}, hash: "sha256:${keyDigest(key)}"${end} }`;
}

function parseExpires(text: string): string {
  const time = expiryTime(text);
  if (time === undefined) throw new InvalidArgumentError('Write it as 2027-01-31 or 2027-01-31T12:00:00Z.');
  if (time <= Date.now()) throw new InvalidArgumentError('It is over already.');
  return text;
}
