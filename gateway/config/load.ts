/** Reads a configuration file: text, variables, checks, defaults. What it gives is complete and will not change. */
import { dirname, resolve } from 'node:path';
import type { Adapter } from '../core/adapter.ts';
import { templateStart } from '../core/path-template.ts';
import { SettingsSchema, type RouteSettings, type Settings } from '../core/settings.ts';
import { checkAdapters } from './adapter-rules.ts';
import { checkWith } from './check.ts';
import { mergeDefaults, withDefaults } from './defaults.ts';
import { isMapping, type Mapping } from '../core/mapping.ts';
import { checkListeners } from './listener-rules.ts';
import type { LoadedPolicy, Parts } from './parts.ts';
import { readPolicies, type PolicyTerms } from './policies.ts';
import { ConfigError, formatPath, type Path } from '../core/problem.ts';
import { firstPerPlace, inOrder, type Finding } from './report.ts';
import { checkRules } from './rules.ts';
import { checkingSchema, plain } from './schema.ts';
import { fillIn, substitute, type Environment } from './secrets.ts';
import { parseSource, readText } from '../../openapi/document/source.ts';
import { composedSource, type ConfigSource } from './config-source.ts';
import { readDocuments, type MoreDocuments, type ReadDocument } from './documents.ts';
import { testBackendUrl } from '../core/target-settings.ts';

/** A checked configuration, deeply frozen. */
export interface LoadedConfig {
  /** As the caller named it. */
  readonly file: string;
  /** The folder that relative paths start from. */
  readonly directory: string;
  /** Everything the file says, `defaults` merged into the routes, with the schema's defaults; policies as `{ use, ...options }`. */
  readonly settings: Settings;
  /** The routes of `settings` in their order, with what their names stand for. */
  readonly routes: readonly LoadedRoute[];
  readonly controlPolicies: readonly LoadedPolicy[];
  /** Where texts of `settings` were read from: full paths by the place in the file, `listen[0].tls.cert`. */
  readonly files: ReadonlyMap<string, string>;
  /** The file as it was written, with the routes of its documents, for messages about it. */
  readonly source: ConfigSource;
  readonly documents: readonly ReadDocument[];
}

export interface LoadedRoute {
  readonly settings: RouteSettings;
  readonly adapter: Adapter;
  readonly policies: readonly LoadedPolicy[];
}

/**
 * Reads and checks a file. Variables come from `environment` (default: the process's).
 * @throws ConfigError with everything that is wrong.
 */
export async function loadConfig(
  file: string,
  parts: Parts,
  environment: Environment = process.env,
  more: MoreDocuments = {},
): Promise<LoadedConfig> {
  return loadText(file, await readConfigText(file), parts, environment, more);
}

const smallest = 'routes:\n  - id: main\n    target: http://127.0.0.1:8080';

/** @throws ConfigError if there is no such file, or it is too large or no text */
export function readConfigText(file: string): Promise<string> {
  return readText(file, `. Make one, or name another with --config. The smallest is:\n\n${smallest}\n`);
}

/**
 * The same for text that did not come from a file; relative paths start from the folder that `file` would stand in.
 * @throws ConfigError with everything that is wrong.
 */
export async function loadText(
  file: string,
  text: string,
  parts: Parts,
  environment: Environment = process.env,
  more: MoreDocuments = {},
): Promise<LoadedConfig> {
  const source = parseSource(file, text);
  const documents = await readDocuments(source, more, { environment, adapters: parts.adapters });
  const composed = composedSource(
    source,
    documents.map(({ described }) => described),
  );
  return { ...(await loadSource(composed, parts, environment)), documents };
}

async function loadSource(
  source: ConfigSource,
  parts: Parts,
  environment: Environment,
): Promise<Omit<LoadedConfig, 'documents'>> {
  const directory = dirname(resolve(source.file));
  const substituted = substitute(source.value, environment, (part) => source.isVerbatim(part));
  const { original } = substituted;
  const filled = fillIn(writtenOut(substituted.value as Mapping), checkingSchema(), [], { directory, original });
  const written = filled.value as Mapping;
  const placeOf = (path: Path): LoadedPolicy['place'] => source.locate(path, 'value');
  const policies = await readAllPolicies(written, { builtIn: parts.policies, directory, original, placeOf });
  const findings = firstPerPath([
    ...substituted.findings,
    ...filled.findings,
    ...checkWith(checkingSchema(), written, { base: [], original }),
    ...policies.findings,
    ...checkAdapters(written, parts.adapters),
    ...checkRules(written),
    ...checkListeners(written, directory),
  ]);
  if (findings.length > 0)
    throw new ConfigError(
      inOrder(firstPerPlace(findings.map(({ path, message, at }) => ({ ...source.locate(path, at), message })))),
    );
  const config = complete(source.file, directory, written, { policies, adapters: parts.adapters });
  return { ...frozen({ ...config, files: filled.files }), source };
}

/** One finding per path, the first: what comes after it is a consequence, or a guess about a variable that is not there. */
function firstPerPath(findings: readonly Finding[]): Finding[] {
  const first = new Map<string, Finding>();
  for (const one of findings) if (!first.has(formatPath(one.path))) first.set(formatPath(one.path), one);
  return [...first.values()];
}

/** Targets, adapters and documents given as text become mappings. */
function writtenOut(file: Mapping): Mapping {
  const target = (value: unknown): unknown => (typeof value === 'string' ? { url: value } : value);
  const fileOf = (value: unknown): unknown => (typeof value === 'string' ? { file: value } : value);
  const options = (value: unknown): unknown =>
    !isMapping(value)
      ? value
      : mapEntries(value, (key, entry) => {
          if (key === 'adapter') return typeof entry === 'string' ? { use: entry } : entry;
          if (key === 'target') return target(entry);
          return key === 'targets' && Array.isArray(entry) ? entry.map(target) : entry;
        });
  return mapEntries(file, (key, entry) => {
    if (key === 'defaults') return options(entry);
    if ((key === 'openapi' || key === 'asyncapi') && Array.isArray(entry)) return entry.map(fileOf);
    return key === 'routes' && Array.isArray(entry) ? entry.map(options) : entry;
  });
}

function mapEntries(value: Mapping, change: (key: string, entry: unknown) => unknown): Mapping {
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, change(key, entry)]));
}

interface AllPolicies {
  readonly control: readonly LoadedPolicy[];
  readonly defaults: readonly LoadedPolicy[];
  /** Undefined for a route that has no list of its own. */
  readonly routes: readonly (readonly LoadedPolicy[] | undefined)[];
  readonly findings: readonly Finding[];
}

async function readAllPolicies(file: Mapping, terms: PolicyTerms): Promise<AllPolicies> {
  const control = await readPolicies(policiesOf(file['control']), ['control', 'policies'], terms);
  const defaults = await readPolicies(policiesOf(file['defaults']), ['defaults', 'policies'], terms);
  const written = Array.isArray(file['routes']) ? (file['routes'] as unknown[]) : [];
  const routes = await Promise.all(
    written.map(async (route, index) => ({
      own: policiesOf(route),
      read: await readPolicies(policiesOf(route), ['routes', index, 'policies'], terms),
    })),
  );
  return {
    control: control.policies,
    defaults: defaults.policies,
    routes: routes.map(({ own, read }) => (own === undefined ? undefined : read.policies)),
    findings: [control, defaults, ...routes.map(({ read }) => read)].flatMap(({ findings }) => findings),
  };
}

function policiesOf(part: unknown): unknown {
  return isMapping(part) ? part['policies'] : undefined;
}

function complete(
  file: string,
  directory: string,
  written: Mapping,
  { policies, adapters }: { readonly policies: AllPolicies; readonly adapters: readonly Adapter[] },
): Omit<LoadedConfig, 'files' | 'source' | 'documents'> {
  const settings = settingsOf(written, policies);
  const routes = settings.routes.map((route, index): LoadedRoute => {
    const adapter = adapters.find(({ name }) => name === route.adapter.use);
    if (!adapter) throw new TypeError(`no adapter is called ${route.adapter.use}`);
    return { settings: route, adapter, policies: policies.routes[index] ?? policies.defaults };
  });
  return { file, directory, settings, routes, controlPolicies: policies.control };
}

function settingsOf(written: Mapping, policies: AllPolicies): Settings {
  const { $schema, defaults, ...file } = written;
  const base = isMapping(defaults) ? defaults : {};
  const routes = (file['routes'] as readonly Mapping[]).map((route, index) => ({
    ...withPath(withTargets(mergeDefaults(base, route))),
    policies: asUsed(policies.routes[index] ?? policies.defaults),
  }));
  const control = { ...(file['control'] as Mapping | undefined), policies: asUsed(policies.control) };
  // The schema of the file has accepted all of it, and the defaults come from the schema of the settings.
  return withDefaults({ ...file, control, routes }, plain(SettingsSchema)) as Settings;
}

function asUsed(policies: readonly LoadedPolicy[]): Mapping[] {
  return policies.map(({ use, dryRun, options }) => ({ use, ...(dryRun && { dryRun }), ...options }));
}

/** One list of targets, each with its dialect. */
function withTargets({ target, targets, ...route }: Mapping): Mapping {
  const all = target === undefined ? (targets as readonly Mapping[]) : [target as Mapping];
  return {
    ...route,
    targets: all.map((one) => {
      const url = one['url'] === testBackendUrl ? testBackendUrl : new URL(String(one['url'])).origin;
      return { dialect: url.startsWith('ws') ? 'relay' : 'websocket-over-http', ...one, url };
    }),
  };
}

/** A template has a beginning, too: what `path` of a route changes is counted from there. */
function withPath(route: Mapping): Mapping {
  const { match } = route;
  if (!isMapping(match) || typeof match['template'] !== 'string') return route;
  return { ...route, match: { ...match, path: templateStart(match['template']) } };
}

function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  // Definitions of policies and adapters are the property of others.
  if (Object.values(value).some((entry) => typeof entry === 'function')) return value;
  Object.freeze(value);
  Object.values(value).forEach(frozen);
  return value;
}
