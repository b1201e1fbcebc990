/** `foregate export asyncapi`: describes the WebSockets and event streams of the routes for those who write clients, or read it back. */
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import type { LoadedConfig } from '../gateway/config/load.ts';
import { shareableRoute } from '../gateway/config/shareable.ts';
import type { Mapping } from '../gateway/core/mapping.ts';
import type { RouteSettings } from '../gateway/core/settings.ts';
import { asyncApiDocument, type WrittenDocument } from '../openapi/asyncapi/export.ts';
import type { DocumentedRoute, DocumentRemark } from '../openapi/asyncapi/exported-route.ts';
import { listenOrigins, urlOrigin } from '../openapi/asyncapi/exported-servers.ts';
import { chosenRoutes } from './chosen-routes.ts';
import { loadChosen, type ConfigChoice } from './configuration.ts';
import { asyncApiOption, collect, configOption, openApiOption } from './options.ts';
import { remarkLines } from './remarks.ts';

interface Options extends ConfigChoice {
  /** A file, or `-` for standard output. */
  readonly output: string;
  readonly route: readonly string[];
  readonly server: readonly URL[];
  readonly title: string;
  readonly documentVersion: string;
  readonly forClients?: boolean;
}

export function exportAsyncApi(): Command {
  return new Command('asyncapi')
    .description(
      'Writes an AsyncAPI 3.0 document of the WebSockets and event streams of the routes: for generators, catalogues and people who write clients, and to be read back with --asyncapi.',
    )
    .addOption(configOption())
    .addOption(openApiOption())
    .addOption(asyncApiOption())
    .option('-o, --output <file>', 'where to write; "-" prints it', 'asyncapi.yaml')
    .option('--route <id>', 'only this route; may be repeated', collect, [])
    .option(
      '--server <url>',
      'how clients reach Foregate, such as wss://chat.example.com; may be repeated (default: its ports)',
      collectUrls,
      [],
    )
    .option('--title <text>', 'the title of the document', 'Foregate')
    .option('--document-version <text>', 'the version of what is described', '1.0.0')
    .option('--for-clients', 'leave out what only Foregate reads: targets, policies and options of the routes')
    .action(exportWith);
}

async function exportWith({ output, ...options }: Options): Promise<void> {
  const { text, remarks, routeCount } = await writtenDocument(await loadChosen(options), options);
  const isRefused = remarks.some(({ verdict }) => verdict === 'refused');
  if (isRefused || routeCount === 0)
    throw new Error(
      [isRefused ? 'Nothing is written.' : 'There is nothing to write.', remarkLines(remarks)].join('\n').trimEnd(),
    );
  if (output !== '-') await writeFile(output, text);
  process.stdout.write(output === '-' ? text : `Wrote ${output}.\n`);
  process.stderr.write(remarkLines(remarks));
}

/** The document for a configuration, with all that is to be said of it. @throws Error for a route that is not there */
export async function writtenDocument(
  loaded: LoadedConfig,
  { route = [], server = [], title = 'Foregate', documentVersion = '1.0.0', forClients = false }: Partial<Options>,
): Promise<WrittenDocument> {
  const documented = await Promise.all(chosenRoutes(loaded.settings.routes, route).map((one) => documentedRoute(loaded, one)));
  const origins = server.length === 0 ? listenOrigins(loaded.settings.listen) : server.map(urlOrigin);
  const terms = { title, version: documentVersion, origins, forClients };
  const document = asyncApiDocument(
    documented.map((one) => one.documented),
    terms,
  );
  const secrets = forClients ? [] : documented.flatMap((one) => one.remarks);
  return { ...document, remarks: [...secrets, ...document.remarks] };
}

interface Documented {
  readonly documented: DocumentedRoute;
  readonly remarks: readonly DocumentRemark[];
}

/** The route as a document is told of it, and what was left out as secret. */
async function documentedRoute(loaded: LoadedConfig, settings: RouteSettings): Promise<Documented> {
  const { written, policies, leftOut } = shareableRoute(loaded, loaded.settings.routes.indexOf(settings));
  const withSchemas = (list: readonly Mapping[]): Promise<Mapping[]> =>
    Promise.all(list.map((policy) => inlined(policy, loaded.directory)));
  const [checked, shown] = await Promise.all([withSchemas(settings.policies), withSchemas(policies)]);
  const remarks = leftOut.map((path): DocumentRemark => ({ about: settings.id, verdict: 'told', text: secretText(path) }));
  return { documented: { settings, checked, written, policies: shown }, remarks };
}

function secretText(path: string): string {
  return `"${path}" is left out, as it is secret; say it as \${NAME} or file:PATH, which may stand in the document`;
}

/** A policy `message-schema` with the schemas themselves in place of the files that they stand in. */
async function inlined(policy: Mapping, directory: string): Promise<Mapping> {
  if (policy['use'] !== 'message-schema') return policy;
  const kinds = Object.entries(policy['schemas'] as Readonly<Record<string, { readonly file?: string }>>);
  const read = kinds.map(async ([kind, source]) => {
    if (source.file === undefined) return [kind, source] as const;
    const inline: unknown = JSON.parse(await readFile(resolve(directory, source.file), 'utf8'));
    return [kind, { inline }] as const;
  });
  return { ...policy, schemas: Object.fromEntries(await Promise.all(read)) };
}

function collectUrls(text: string, before: readonly URL[]): readonly URL[] {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isOrigin =
    url !== undefined && /^(wss?|https?):$/.test(url.protocol) && url.pathname === '/' && url.search + url.hash === '';
  if (!isOrigin || url.username !== '' || url.password !== '')
    throw new InvalidArgumentError('Write scheme, host and port: wss://chat.example.com.');
  return [...before, url];
}
