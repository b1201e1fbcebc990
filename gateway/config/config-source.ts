/** The configuration as it was written: one file, and the API documents that it names. */
import { isMapping, type Mapping } from '../core/mapping.ts';
import { formatPath, type Path, type PlaceInFile } from '../core/problem.ts';
import type { Described, DescribedPolicy } from '../../openapi/routes/described-route.ts';
import type { Source } from '../../openapi/document/source.ts';

export interface ConfigSource {
  /** As the caller named it. */
  readonly file: string;
  /** With the routes of documents behind its own. */
  readonly value: unknown;
  /** The place of a value, of its key, or of the nearest thing above it, in whichever file. */
  locate(path: Path, at: 'value' | 'key'): PlaceInFile;
  /** Whether a route, by its number, comes of a document. */
  isDescribed(route: number): boolean;
  /** Whether no variables are put into a part. */
  isVerbatim(part: object): boolean;
}

/** A file with what documents describe. */
export function composedSource(source: Source, described: readonly Described[]): ConfigSource {
  const routes = described.flatMap((one) => one.routes);
  const policies = described.flatMap((one) => one.controlPolicies);
  const file = isMapping(source.value) ? source.value : {};
  const control = isMapping(file['control']) ? file['control'] : {};
  const ownRoutes = listOf(file['routes']);
  const ownPolicies = listOf(control['policies']);
  const value: Mapping = {
    ...file,
    ...(routes.length > 0 && { routes: [...ownRoutes, ...settingsOf(routes)] }),
    ...(policies.length > 0 && { control: { ...control, policies: [...ownPolicies, ...settingsOf(policies)] } }),
  };
  const found = (path: Path): { readonly part: DescribedPolicy; readonly rest: Path } | undefined => {
    const [first, second, third] = path;
    if (first === 'routes' && typeof second === 'number') return partOf(routes[second - ownRoutes.length], path.slice(2));
    if (first === 'control' && second === 'policies' && typeof third === 'number')
      return partOf(policies[third - ownPolicies.length], path.slice(3));
    return undefined;
  };
  return {
    file: source.file,
    value,
    locate(path, at) {
      const inDocument = found(path);
      return inDocument === undefined ? placeIn(source, path, at) : inDocument.part.locate(inDocument.rest, at);
    },
    isDescribed: (route) => route >= ownRoutes.length,
    isVerbatim: (part) => described.some((one) => one.isVerbatim(part)),
  };
}

function partOf(
  part: DescribedPolicy | undefined,
  rest: Path,
): { readonly part: DescribedPolicy; readonly rest: Path } | undefined {
  return part && { part, rest };
}

function settingsOf(parts: readonly DescribedPolicy[]): Mapping[] {
  return parts.map(({ settings }) => settings);
}

function placeIn(source: Source, path: Path, at: 'value' | 'key'): PlaceInFile {
  const place = source.locate(path, at);
  return { file: source.file, line: place.line, column: place.column, path: formatPath(place.path) };
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
