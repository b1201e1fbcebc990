/** `foregate export`: writes the configuration of the API gateway behind, from what the routes say of it. */
import { access, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { exporters } from '../adapters/exporters.ts';
import { gatewayModel } from '../adapters/conversion/gateway-model.ts';
import type { Exporter, OutputFile, Remark } from '../adapters/conversion/gateway-route.ts';
import { adapters } from '../adapters/index.ts';
import { chosenRoutes } from './chosen-routes.ts';
import { loadChosen, type ConfigChoice } from './configuration.ts';
import { exportAsyncApi } from './export-asyncapi.ts';
import { asyncApiOption, collect, configOption, openApiOption } from './options.ts';
import { remarkLines } from './remarks.ts';

interface Options extends ConfigChoice {
  /** A folder, or `-` for standard output. */
  readonly output: string;
  readonly route: readonly string[];
  readonly trust: readonly string[];
  readonly withSecrets?: boolean;
}

export function exportCommand(): Command {
  const command = new Command('export').description(
    'Writes the configuration of the API gateway behind, from "adapter.gateway" of the routes. What cannot be said there is refused, or said more strictly and told; never more loosely. "asyncapi" writes a description for clients instead.',
  );
  for (const exporter of exporters) command.addCommand(exportTo(exporter));
  command.addCommand(exportAsyncApi());
  return command;
}

function exportTo(exporter: Exporter): Command {
  return new Command(exporter.name)
    .description(exporter.summary)
    .addOption(configOption())
    .addOption(openApiOption())
    .addOption(asyncApiOption())
    .option('-o, --output <folder>', 'where to write; "-" prints what is to be written', '.')
    .option('--route <id>', 'only this route; may be repeated', collect, [])
    .option(
      '--trust <address>',
      'an address or range of Foregate, whose X-Forwarded-* fields the gateway shall believe; may be repeated (default: the loopback addresses)',
      collect,
      [],
    )
    .option('--with-secrets', 'write the keys of callers too')
    .action((options: Options) => exportWith(exporter, options));
}

async function exportWith(
  exporter: Exporter,
  { output, route: ids, trust, withSecrets = false, ...choice }: Options,
): Promise<void> {
  const { settings } = await loadChosen(choice);
  const { model, remarks } = gatewayModel(chosenRoutes(settings.routes, ids), adapterOf(exporter), {
    trusted: trust.length === 0 ? ['127.0.0.1', '::1'] : trust,
    withSecrets,
  });
  if (model.routes.length === 0) throw new Error(refusal('There is nothing to write.', remarks));
  const written = exporter.write(model);
  const all = [...remarks, ...written.remarks];
  if (all.some(({ verdict }) => verdict === 'refused')) throw new Error(refusal('Nothing is written.', all));
  const told = output === '-' ? print(written.files) : await writeAll(output, written.files);
  process.stdout.write(told);
  process.stderr.write(remarkLines(all));
}

/** `tyk-classic` is another form of what the adapter `tyk` knows. */
function adapterOf({ name }: Exporter): (typeof adapters)[number] {
  const adapter = adapters.find((one) => name === one.name || name.startsWith(`${one.name}-`));
  if (adapter === undefined) throw new TypeError(`There is no adapter for ${name}.`);
  return adapter;
}

function print(files: readonly OutputFile[]): string {
  const [only, ...more] = files;
  if (only !== undefined && more.length === 0 && typeof only.content === 'string') return only.content;
  return files
    .map((file) => `==> ${file.name}\n${typeof file.content === 'string' ? file.content : `(${file.content.length} bytes)\n`}`)
    .join('\n');
}

/** Names what was written; its own files are replaced, those of the operator are not. */
async function writeAll(folder: string, files: readonly OutputFile[]): Promise<string> {
  const told: string[] = [];
  for (const { name, content, once = false } of files) {
    const path = join(folder, name);
    const isKept = once && (await exists(path));
    // Keys may stand in it.
    if (!isKept) await mkdir(dirname(path), { recursive: true }).then(() => writeFile(path, content, { mode: 0o600 }));
    told.push(isKept ? `Kept ${path}.` : `Wrote ${path}.`);
  }
  return `${told.join('\n')}\n`;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function refusal(first: string, remarks: readonly Remark[]): string {
  return [first, remarkLines(remarks)].join('\n').trimEnd();
}
