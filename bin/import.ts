/** `foregate import`: makes a `foregate.yaml` from the configuration of another system. */
import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { Command } from 'commander';
import { readConfFile } from '../adapters/pushpin/conf-file.ts';
import type { Finding } from '../adapters/pushpin/finding.ts';
import { writeForegateFile } from '../adapters/pushpin/foregate-file.ts';
import { readRoutesFile } from '../adapters/pushpin/routes-file.ts';
import { importPushpin } from '../adapters/pushpin/settings.ts';
import { importFromGateway } from './import-gateway.ts';
import { importers } from '../adapters/importers.ts';
import { writeNew } from './new-file.ts';

interface PushpinOptions {
  /** From the working directory; else what the configuration names. */
  readonly routes?: string;
  /** `-` for standard output. */
  readonly output: string;
}

export function importCommand(): Command {
  const command = new Command('import').description('Makes a configuration from that of another system.');
  command.addCommand(
    new Command('pushpin')
      .description(
        'Takes over a pushpin.conf and its routes file. What has no equivalent is told, and stands in the file as comments.',
      )
      .argument('<file>', 'pushpin.conf')
      .option('--routes <file>', 'the routes file, instead of the one that pushpin.conf names')
      .option('-o, --output <file>', 'where to write; "-" prints it. A file that exists is not overwritten', 'foregate.yaml')
      .action(importFromPushpin),
  );
  for (const importer of importers) command.addCommand(importFromGateway(importer));
  return command;
}

async function importFromPushpin(file: string, options: PushpinOptions): Promise<void> {
  process.stdout.write(await importPushpinFile(file, options));
}

/**
 * Writes what {@link convertPushpin} makes of a file, and gives what there is to say; for the output `-` the text itself.
 * @throws Error if a file cannot be read, no route can be taken over, or the output exists or cannot be written
 */
export async function importPushpinFile(file: string, { routes, output }: PushpinOptions): Promise<string> {
  const { text, findings, routeCount } = convertPushpin(file, routes);
  if (routeCount === 0) throw new Error(['No route is left, so nothing is written.', ...report(findings)].join('\n').trimEnd());
  if (output === '-') return text;
  await writeNew(output, text);
  const last = `Look through it, then run: foregate check --config ${output}`;
  return `${[`Wrote ${output}.`, ...report(findings), last].join('\n')}\n`;
}

export interface Converted {
  /** The `foregate.yaml`. */
  readonly text: string;
  readonly findings: readonly Finding[];
  /** Without routes the text cannot be loaded. */
  readonly routeCount: number;
  /** The routes file that was read. */
  readonly routesFile: string;
}

/**
 * The configuration for a `pushpin.conf`. `routes` is the routes file; undefined: the one that the file names, from its folder.
 * @throws Error if a file cannot be read
 */
export function convertPushpin(file: string, routes?: string): Converted {
  const folder = dirname(resolve(file));
  const conf = readConfFile(textOf(file), { file: basename(file), include: (path) => textIfAny(resolve(folder, path)) });
  const routesFile = routes ?? resolve(folder, conf.conf.routesFile);
  const names = { conf: basename(file), routes: basename(routesFile) };
  const imported = importPushpin({ conf, routes: readRoutesFile(textOf(routesFile), names.routes), names, folder });
  return { text: writeForegateFile(imported, names), findings: imported.findings, routeCount: imported.lines.length, routesFile };
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Error(`The file ${JSON.stringify(file)} cannot be read.`, { cause });
  }
}

function textIfAny(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function report(findings: readonly Finding[]): string[] {
  return (['refused', 'ignored'] as const).flatMap((verdict) => {
    const own = findings.filter((finding) => finding.verdict === verdict);
    return own.length === 0 ? [] : ['', `${titles[verdict]} (${own.length}):`, ...own.map(lineOf), ''];
  });
}

const titles = { refused: 'Not taken over, and perhaps missed', ignored: 'Not taken over, and mostly not missed' } as const;

function lineOf({ file, line, option, text }: Finding): string {
  return `  ${line === 0 ? file : `${file}:${line}`}  ${option === '' ? '' : `${option}: `}${text}`;
}
