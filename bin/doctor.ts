/** `foregate doctor`: asks the gateway behind each route a few harmless questions, and says what goes together with our settings. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { limitWarnings, warningLines } from '../gateway/config/gateway-limits.ts';
import { loadConfig } from '../gateway/config/load.ts';
import { toMs } from '../gateway/core/duration.ts';
import { requestsMax } from '../gateway/doctor/asker.ts';
import { examine } from '../gateway/doctor/examine.ts';
import { hasClash, reportLines } from '../gateway/doctor/finding.ts';
import type { ClientCredential } from '../gateway/doctor/patient.ts';
import { parts } from '../gateway/parts.ts';
import { configOption } from './options.ts';
import { version } from './version.ts';

interface Options {
  readonly config: string;
  readonly route?: string;
  readonly path?: string;
  readonly host?: string;
  readonly credentialEnv?: string;
  readonly credentialHeader?: string;
  readonly idleWait: number;
  readonly timeout: number;
  readonly json?: true;
}

export function doctorCommand(): Command {
  return new Command('doctor')
    .description(
      `Asks what stands behind each route a few harmless questions (at most ${requestsMax} requests for each target, one at a time, at a path of its own), and says what does not go together with the configuration, with the line to change. Ends with 1 if something clashes, with 2 if the configuration is wrong.`,
    )
    .addOption(configOption())
    .option('-r, --route <id>', 'look at this route only')
    .option('--path <path>', 'of the requests (default: the path of the route and "/.foregate-doctor")', parsePath)
    .option('--host <host>', 'that clients ask for (default: the host of the route, else the target)')
    .option('--credential-env <name>', "show the credential in this variable as a client's own; it is never printed")
    .option('--credential-header <name>', 'the field it stands in, where the route does not say where clients have it')
    .addOption(duration('--idle-wait', 'how long an unused connection is watched', '10s'))
    .addOption(duration('--timeout', 'for all of it', '2m'))
    .option('--json', 'print JSON')
    .action(doctor);
}

async function doctor(options: Options): Promise<void> {
  const { config, route, path, host, idleWait, timeout, json } = options;
  const loaded = await loadConfig(config, parts);
  const credential = credentialOf(options);
  const reports = await examine(loaded, route, {
    client: {
      version: version(),
      ...(path !== undefined && { path }),
      ...(host !== undefined && { host }),
      ...(credential && { credential }),
    },
    adapters: parts.adapters,
    idleWaitMs: idleWait,
    timeoutMs: timeout,
  });
  for (const line of warningLines(limitWarnings(loaded))) console.error(line);
  console.log(json ? JSON.stringify(reports, undefined, 2) : reports.flatMap(reportLines).join('\n'));
  if (hasClash(reports)) process.exitCode = 1;
}

function credentialOf({ credentialEnv: name, credentialHeader: header }: Options): ClientCredential | undefined {
  if (name === undefined) return undefined;
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`The variable ${name} is not set.`);
  return { value, ...(header !== undefined && { header }) };
}

function parsePath(text: string): string {
  if (!/^\/[\x21-\x22\x24-\x7e]*$/.test(text)) throw new InvalidArgumentError('A path begins with "/" and has no blanks.');
  return text;
}

function duration(name: string, description: string, usual: string): Option {
  return new Option(`${name} <duration>`, description).argParser(parseDuration).default(toMs(usual), usual);
}

/** Milliseconds. */
function parseDuration(text: string): number {
  if (!/^\d{1,9}(?:ms|s|m)$/.test(text)) throw new InvalidArgumentError('Write it as 500ms, 10s or 2m.');
  return toMs(text);
}
