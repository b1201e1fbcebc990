/** `foregate import <gateway>`: makes a `foregate.yaml` from the configuration of an API gateway. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { printable } from '../adapters/conversion/comment.ts';
import type { Importer, InputFile, Remark } from '../adapters/conversion/gateway-route.ts';
import { writeImported } from '../adapters/conversion/imported-file.ts';
import { adapters } from '../adapters/index.ts';
import { writeNew } from './new-file.ts';

interface Options {
  readonly gateway: URL;
  /** `-` for standard output. */
  readonly output: string;
  readonly withSecrets?: boolean;
}

export function importFromGateway(importer: Importer): Command {
  return new Command(importer.name)
    .description(importer.summary)
    .argument('<file...>', 'its configuration')
    .option('--gateway <url>', 'where the gateway listens', parseAddress, new URL(importer.usualAddress))
    .option('-o, --output <file>', 'where to write; "-" prints it. A file that exists is not overwritten', 'foregate.yaml')
    .option('--with-secrets', 'copy the keys of callers too')
    .action((names: readonly string[], options: Options) => importWith(importer, names, options));
}

async function importWith(importer: Importer, names: readonly string[], options: Options): Promise<void> {
  const { gateway, output, withSecrets = false } = options;
  const model = importer.read(await Promise.all(names.map(readInput)), gateway);
  if (model.routes.length === 0)
    throw new Error(['No route is left, so nothing is written.', ...report(model.remarks)].join('\n'));
  const { credentialHeader } = adapters.find(({ name }) => name === importer.name) ?? { credentialHeader: undefined };
  const text = writeImported(
    model,
    names.map((name) => basename(name)),
    { adapter: importer.name, credentialHeader, withSecrets },
  );
  if (output === '-') return void process.stdout.write(text);
  await writeNew(output, text);
  const last = `Look through it, then run: foregate check --config ${output}`;
  process.stdout.write(`${[`Wrote ${output}.`, ...report(model.remarks), last].join('\n')}\n`);
}

async function readInput(name: string): Promise<InputFile> {
  try {
    return { name: basename(name), text: await readFile(name, 'utf8') };
  } catch (cause) {
    throw new Error(`The file ${JSON.stringify(name)} cannot be read.`, { cause });
  }
}

function report(remarks: readonly Remark[]): string[] {
  if (remarks.length === 0) return [];
  return [
    '',
    `Not taken over, or not as it was (${remarks.length}):`,
    ...remarks.map(({ about, text }) => `  ${printable(`${about}: ${text}`)}`),
    '',
  ];
}

function parseAddress(text: string): URL {
  if (!/^https?:/.test(text) || !URL.canParse(text)) throw new InvalidArgumentError('Write it as http://127.0.0.1:8000.');
  return new URL(text);
}
