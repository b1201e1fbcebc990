/** What a route says in its file, for documents that others may read: nothing in it is secret. */
import { isMapping, type Mapping } from '../core/mapping.ts';
import { formatPath, type Path } from '../core/problem.ts';
import { isSecretSchema } from '../core/secret.ts';
import { mergeDefaults } from './defaults.ts';
import type { JsonSchema } from './json-schema.ts';
import type { LoadedConfig } from './load.ts';
import { asWritten, checkingSchema } from './schema.ts';
import type { LoadedPolicy } from './parts.ts';
import { walk, type Visit } from './walk.ts';

export interface ShareableRoute {
  /**
   * As it is written, `defaults` of the file merged in, without `policies`. Of secrets only names of variables (`${NAME}`) and of
   * files (`file:PATH`) stay.
   */
  readonly written: Mapping;
  /** Its policies in the same form, in their order, `use` first. */
  readonly policies: readonly Mapping[];
  /** What was left out: `policies[0].secret`. */
  readonly leftOut: readonly string[];
}

/** The route at this place of `settings.routes`. */
export function shareableRoute(loaded: LoadedConfig, index: number): ShareableRoute {
  const leftOut: string[] = [];
  const keep = (value: unknown, schema: JsonSchema, path: Path): unknown => {
    const isShown = !isHidden(value, schema);
    if (!isShown) leftOut.push(formatPath(path));
    return isShown ? value : undefined;
  };
  const { policies: list, ...route } = writtenRoute(loaded, index);
  const policies = sharedPolicies(loaded.routes[index]?.policies ?? [], list, ['policies'], keep);
  const schema = checkingSchema().properties?.['routes']?.items ?? {};
  const shared = { written: walk(route, schema, [], keep), policies };
  // What was left out is undefined there, and JSON knows no such thing.
  return { ...(JSON.parse(JSON.stringify(shared)) as Omit<ShareableRoute, 'leftOut'>), leftOut };
}

/** `written`: the list of the file, or the only policy of it. */
function sharedPolicies(policies: readonly LoadedPolicy[], written: unknown, path: Path, keep: Visit): Mapping[] {
  const entries = [written].flat() as readonly Mapping[];
  return policies.map(({ definition, alternatives }, at) => {
    const { use, dryRun, ...options } = entries[at] ?? {};
    const lists = options['of'] as readonly unknown[];
    const shown =
      alternatives === undefined
        ? (walk(options, asWritten(definition.options), [...path, at], keep) as Mapping)
        : { of: alternatives.map((list, index) => sharedPolicies(list, lists[index], [...path, at, 'of', index], keep)) };
    return { use, ...(dryRun === true && { dryRun }), ...shown };
  });
}

function writtenRoute({ source }: LoadedConfig, index: number): Mapping {
  const file = source.value as Mapping; // It was checked.
  const defaults = isMapping(file['defaults']) ? file['defaults'] : {};
  return mergeDefaults(defaults, (file['routes'] as readonly Mapping[])[index] ?? {});
}

function isHidden(value: unknown, schema: JsonSchema): boolean {
  if (typeof value !== 'string') return false;
  if (isSecretSchema(schema)) return !/^(\$\{[A-Za-z_][A-Za-z0-9_]*\}|file:.*)$/.test(value);
  return /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*@/i.test(value);
}
