/** Finds what a policy's `use` names (built in, a file, or an installed package) and checks its options with its own schema. */
import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { anyOf } from '../core/any-of.ts';
import { isMapping, type Mapping } from '../core/mapping.ts';
import type { PolicyDefinition } from '../core/policy.ts';
import { checkWith } from './check.ts';
import { withDefaults } from './defaults.ts';
import type { LoadedPolicy } from './parts.ts';
import { didYouMean, finding, type Finding } from './report.ts';
import { asWritten, plain } from './schema.ts';
import { fillIn, type Substituted } from './secrets.ts';
import type { Path } from '../core/problem.ts';

export interface PolicyTerms {
  readonly builtIn: readonly PolicyDefinition[];
  /** The folder of the configuration file: relative paths start here. */
  readonly directory: string;
  readonly original: Substituted['original'];
  readonly placeOf: (path: Path) => LoadedPolicy['place'];
}

interface PoliciesRead {
  readonly policies: readonly LoadedPolicy[];
  readonly findings: readonly Finding[];
}

/** Reads one `policies` list. Entries without a usable `use` are skipped: the schema of the file reports them. */
export async function readPolicies(list: unknown, path: Path, terms: PolicyTerms): Promise<PoliciesRead> {
  const entries = Array.isArray(list) ? list : [];
  const read = await Promise.all(entries.map((entry: unknown, index) => readPolicy(entry, [...path, index], terms)));
  return { policies: read.flatMap(({ policies }) => policies), findings: read.flatMap(({ findings }) => findings) };
}

async function readPolicy(entry: unknown, path: Path, terms: PolicyTerms): Promise<PoliciesRead> {
  if (!isMapping(entry)) return { policies: [], findings: [] };
  const { use, dryRun, ...written } = entry;
  if (typeof use !== 'string' || use === '') return { policies: [], findings: [] };
  if (use === anyOf.name) return readAlternatives(entry, path, terms);
  const found = await findDefinition(use, terms);
  if (typeof found === 'string') return { policies: [], findings: [finding([...path, 'use'], found)] };
  const schema = asWritten(found.options);
  const filled = fillIn(written, schema, path, terms);
  const checked = checkWith(schema, filled.value, { base: path, original: terms.original });
  const findings = [...filled.findings, ...checked];
  if (findings.length > 0) return { policies: [], findings };
  const options = withDefaults(filled.value, plain(found.options)) as LoadedPolicy['options'];
  return { policies: [{ use, definition: found, options, dryRun: dryRun === true, place: terms.placeOf(path) }], findings };
}

async function readAlternatives(
  { use: _name, dryRun, ...written }: Mapping,
  path: Path,
  terms: PolicyTerms,
): Promise<PoliciesRead> {
  const wrong = checkWith(asWritten(anyOf.options), written, { base: path, original: terms.original });
  if (wrong.length > 0) return { policies: [], findings: wrong };
  const lists = await Promise.all(
    (written['of'] as readonly unknown[]).map((list, index) => readList(list, [...path, 'of', index], terms)),
  );
  const findings = lists.flatMap((list) => list.findings);
  if (findings.length > 0) return { policies: [], findings };
  const alternatives = lists.map(({ policies }) => policies);
  const options = { of: alternatives.map((list) => list.map((one) => ({ use: one.use, ...one.options }))) };
  const place = terms.placeOf(path);
  return { policies: [{ use: anyOf.name, definition: anyOf, options, alternatives, dryRun: dryRun === true, place }], findings };
}

/** One policy, or a list of them; in dry run it would let everybody in. */
async function readList(list: unknown, path: Path, terms: PolicyTerms): Promise<PoliciesRead> {
  const read = Array.isArray(list) ? await readPolicies(list, path, terms) : await readPolicy(list, path, terms);
  const rehearsed = read.policies.find(({ dryRun }) => dryRun === true);
  if (rehearsed === undefined) return read;
  return { policies: [], findings: [finding(path, `has "dryRun" for ${rehearsed.use}; it may stand beside any-of only`)] };
}

/** The definition, or what is wrong with `use`. */
async function findDefinition(use: string, { builtIn, directory }: PolicyTerms): Promise<PolicyDefinition | string> {
  const known = builtIn.find(({ name }) => name === use);
  if (known) return known;
  if (/^(\.{0,2}\/|[A-Za-z]:[\\/])/.test(use)) return importFile(resolve(directory, use), use);
  const names = [...builtIn.map(({ name }) => name), anyOf.name];
  if (!/^(@[\w.-]+\/)?[\w-][\w.-]*(\/[\w./-]+)?$/.test(use))
    return `is neither a policy nor a file or package, found ${JSON.stringify(use)}`;
  return importPackage(use, directory, names);
}

async function importFile(path: string, use: string): Promise<PolicyDefinition | string> {
  const about = statSync(path, { throwIfNoEntry: false });
  if (about === undefined || !about.isFile()) return `names the file ${JSON.stringify(use)}, which does not exist`;
  // Modules are kept by their URL: with the time in it, a changed file is read again at a reload.
  return importFrom(`${pathToFileURL(path).href}?changed=${about.mtimeMs}`, use);
}

async function importPackage(use: string, directory: string, names: readonly string[]): Promise<PolicyDefinition | string> {
  try {
    const path = createRequire(join(directory, 'foregate.yaml')).resolve(use);
    return await importFrom(pathToFileURL(path).href, use);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ERR_PACKAGE_PATH_NOT_EXPORTED')
      return `names the package ${JSON.stringify(use)}, which exports nothing under "default"; name its file instead`;
    return `is neither a policy nor an installed package: ${JSON.stringify(use)}${didYouMean(use, names) || `; policies are ${names.join(', ')}`}`;
  }
}

async function importFrom(url: string, use: string): Promise<PolicyDefinition | string> {
  try {
    const module = (await import(url)) as { readonly default?: unknown };
    const lacks = missing(module.default);
    if (lacks !== undefined) return `names ${JSON.stringify(use)}, whose default export is no policy definition: ${lacks}`;
    return module.default as PolicyDefinition;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return `names ${JSON.stringify(use)}, which cannot be loaded: ${text.split('\n', 1)[0] ?? ''}`;
  }
}

function missing(definition: unknown): string | undefined {
  if (!isMapping(definition)) return 'it has none';
  if (typeof definition['name'] !== 'string') return '"name" must be text';
  if (!isMapping(definition['options'])) return '"options" must be a schema';
  return typeof definition['create'] === 'function' ? undefined : '"create" must be a function';
}
