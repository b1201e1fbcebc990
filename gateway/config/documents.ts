/** Reads the API documents that a configuration names, and makes routes of them. */
import { dirname, isAbsolute, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Adapter } from '../core/adapter.ts';
import { isMapping, type Mapping } from '../core/mapping.ts';
import { ConfigError, type Problem } from '../core/problem.ts';
import { readApiDocument, type ApiDocument } from '../../openapi/document/api-document.ts';
import type { Described } from '../../openapi/routes/described-route.ts';
import type { DocumentFinding } from '../../openapi/document/document-finding.ts';
import { describeChannels } from '../../openapi/asyncapi/import.ts';
import { describeRoutes, type ImportTerms } from '../../openapi/routes/import.ts';
import { KnownPlaces } from '../../openapi/document/known-places.ts';
import type { Source } from '../../openapi/document/source.ts';
import { didYouMean, firstPerPlace, inOrder } from './report.ts';
import { substitute, type Environment } from './secrets.ts';

/** The kinds of documents, by the setting that names them. */
const describers = { openapi: describeRoutes, asyncapi: describeChannels } satisfies Readonly<
  Record<string, (document: ApiDocument, terms: ImportTerms) => Described>
>;
type Kind = keyof typeof describers;
const kinds = Object.keys(describers) as readonly Kind[]; // Object.keys forgets which keys they are.

/** Documents that are named beside the configuration, from the working directory. */
export type MoreDocuments = Readonly<Partial<Record<Kind, readonly string[]>>>;

/** One document of a configuration, and what it describes. */
export interface ReadDocument {
  readonly document: ApiDocument;
  readonly described: Described;
}

/**
 * All documents, those of the file first. Entries that are none are passed over: the schema of the file reports them.
 * @throws ConfigError with all that is wrong in them
 */
export async function readDocuments(
  source: Source,
  more: MoreDocuments,
  terms: { readonly environment: Environment; readonly adapters: readonly Adapter[] },
): Promise<readonly ReadDocument[]> {
  const file = isMapping(source.value) ? source.value : {};
  const places = new KnownPlaces();
  places.add({ url: pathToFileURL('/'), source }, () => {});
  const takenIds = new Set(idsOf(file));
  const read: ReadDocument[] = [];
  const problems: Problem[] = [];
  for (const { kind, entry } of entriesOf(file, more)) {
    try {
      const document = await readEntry(entry, source, terms.environment);
      const described = describers[kind](document, {
        entry,
        locateEntry: (owner, key, at) => places.locate(owner, key, at),
        defaults: isMapping(file['defaults']) ? file['defaults'] : {},
        adapters: terms.adapters,
        takenIds,
      });
      for (const { settings } of described.routes) takenIds.add(String(settings['id']));
      problems.push(...described.findings.map((finding) => problemOf(finding, described)));
      read.push({ document, described });
    } catch (error) {
      problems.push(...problemsIn(error, shownName(entry, source)));
    }
  }
  if (problems.length > 0) throw new ConfigError(inOrder(firstPerPlace(problems)));
  return read;
}

interface Entry {
  readonly kind: Kind;
  readonly entry: Mapping;
}

/** Named on the command line: from the working directory, and nothing else is said of it. */
const fromHere = Symbol('from the working directory');

function entriesOf(file: Mapping, more: MoreDocuments): Entry[] {
  return kinds.flatMap((kind) => {
    const own = Array.isArray(file[kind]) ? (file[kind] as readonly unknown[]) : [];
    const written = own.map((entry) => (typeof entry === 'string' ? { file: entry } : entry));
    const named = (more[kind] ?? []).map((name) => ({ file: name, [fromHere]: true }));
    return [...written, ...named].flatMap((entry) =>
      isMapping(entry) && typeof entry['file'] === 'string' ? [{ kind, entry }] : [],
    );
  });
}

function shownName(entry: Mapping, source: Source): string {
  const name = String(entry['file']);
  return fromHere in entry || isAbsolute(name) ? name : join(dirname(source.file), name);
}

/** A document of `$ref`s that lead from one to the next thousands of times takes more stack than there is. */
function problemsIn(error: unknown, file: string): readonly Problem[] {
  if (error instanceof ConfigError) return error.problems;
  if (!(error instanceof RangeError)) throw error;
  return [{ file, line: 0, column: 0, path: '', message: 'is nested too deeply, or its "$ref"s lead on and on' }];
}

async function readEntry(entry: Mapping, source: Source, environment: Environment): Promise<ApiDocument> {
  const { file, network } = substitute({ file: entry['file'], network: entry['network'] }, environment).value as Mapping;
  return readApiDocument(shownName({ ...entry, file }, source), { network: network === true || network === 'true' });
}

export function problemOf(
  { owner, key, at, message, known = [] }: DocumentFinding,
  { locate }: Pick<Described, 'locate'>,
): Problem {
  const advice = key === undefined ? '' : didYouMean(String(key), known);
  const listed = advice === '' && known.length > 0 ? `; known here: ${known.join(', ')}` : advice;
  return { ...locate(key === undefined ? { owner, at, message } : { owner, key, at, message }), message: message + listed };
}

function idsOf(file: Mapping): string[] {
  const routes = Array.isArray(file['routes']) ? (file['routes'] as readonly unknown[]) : [];
  return routes.flatMap((route) => (isMapping(route) && typeof route['id'] === 'string' ? [route['id']] : []));
}
