/** `foregate doctor`: asks the gateway behind each route a few harmless questions, and says what goes together with our settings. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { limitWarnings, warningLines } from '../gateway/config/gateway-limits.ts';
import type { LoadedConfig } from '../gateway/config/load.ts';
import { toMs } from '../gateway/core/duration.ts';
import { requestsMax } from '../gateway/doctor/asker.ts';
import { examine, type Terms } from '../gateway/doctor/examine.ts';
import { hasClash, reportLines, type Report } from '../gateway/doctor/finding.ts';
import type { ClientCredential } from '../gateway/doctor/patient.ts';
import { openStandIn, type StandIn } from '../gateway/doctor/stand-in.ts';
import { parts } from '../gateway/parts.ts';
import { loadChosen, type ConfigChoice } from './configuration.ts';
import { asyncApiOption, configOption, openApiOption, parsePort } from './options.ts';
import { version } from './version.ts';

interface Options extends ConfigChoice {
  readonly route?: string;
  readonly path?: string;
  readonly host?: string;
  readonly credentialEnv?: string;
  readonly credentialHeader?: string;
  readonly idleWait: number;
  readonly timeout: number;
  readonly timeoutWait: number;
  readonly listen?: number;
  readonly listenHost: string;
  readonly json?: true;
}

export function doctorCommand(): Command {
  return new Command('doctor')
    .description(
      `Asks what stands behind each route a few harmless questions (at most ${requestsMax} requests for each target, one at a time, at a path of its own), and says what does not go together with the configuration, with the line to change. Ends with 1 if something clashes, with 2 if the configuration is wrong.`,
    )
    .addOption(configOption())
    .addOption(openApiOption())
    .addOption(asyncApiOption())
    .option('-r, --route <id>', 'look at this route only')
    .option('--path <path>', 'of the requests (default: the path of the route and "/.foregate-doctor")', parsePath)
    .option('--host <host>', 'that clients ask for (default: the host of the route, else the target)')
    .option('--credential-env <name>', "show the credential in this variable as a client's own; it is never printed")
    .option('--credential-header <name>', 'the field it stands in, where the route does not say where clients have it')
    .addOption(duration('--idle-wait', 'how long an unused connection is watched', '10s'))
    .option(
      '--listen <port>',
      'stand in for the backend at this port meanwhile; a route of the gateway must lead there',
      parsePort,
    )
    .option('--listen-host <address>', 'at this address', '127.0.0.1')
    .addOption(
      duration('--timeout-wait', 'with --listen: how long an answer may be kept back to see what follows; 0s: not', '0s'),
    )
    .addOption(duration('--timeout', 'for all of it', '2m'))
    .option('--json', 'print JSON')
    .action(doctor);
}

async function doctor(options: Options): Promise<void> {
  const loaded = await loadChosen(options);
  const reports = await reportsOf(options, loaded, credentialOf(options));
  for (const line of warningLines(limitWarnings(loaded))) console.error(line);
  console.log(options.json ? JSON.stringify(reports, undefined, 2) : reports.flatMap(reportLines).join('\n'));
  if (hasClash(reports)) process.exitCode = 1;
}

async function reportsOf(options: Options, loaded: LoadedConfig, credential: ClientCredential | undefined): Promise<Report[]> {
  const standIn = await standInOf(options);
  try {
    return await examine(loaded, options.route, termsOf(options, credential, standIn));
  } finally {
    await standIn?.close();
  }
}

function termsOf(options: Options, credential: ClientCredential | undefined, standIn: StandIn | undefined): Terms {
  const { path, host } = options;
  const client = {
    version: version(),
    ...(path !== undefined && { path }),
    ...(host !== undefined && { host }),
    ...(credential && { credential }),
  };
  const { idleWait: idleWaitMs, timeout: timeoutMs, timeoutWait: timeoutWaitMs } = options;
  return { client, adapters: parts.adapters, standIn, idleWaitMs, timeoutMs, timeoutWaitMs };
}

async function standInOf({ listen: port, listenHost: host }: Options): Promise<StandIn | undefined> {
  if (port === undefined) return undefined;
  const standIn = await openStandIn({ port, host });
  console.error(`Standing in for the backend at ${host}:${standIn.port}.`);
  return standIn;
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
