/** What to change in a configuration file: where a setting stands, or would have to, and the words to write there. */
import { isMapping } from '../core/mapping.ts';
import type { LoadedConfig } from './load.ts';
import { formatPath, type Path } from '../core/problem.ts';

export interface Change {
  /** As the caller named it. */
  readonly file: string;
  /** From 1: of the setting, or of what it is to be put into. */
  readonly line: number;
  readonly column: number;
  /** Of the setting: `routes[0].target.idle`. */
  readonly path: string;
  /** What holds now. */
  readonly now: string;
  readonly isDefault: boolean;
  /** What to write in place of that, or into what stands there. */
  readonly write: string;
}

/** What holds now and what shall: as YAML writes it. */
export interface Wish {
  readonly now: string;
  readonly wanted: string;
}

/** A setting of one target, such as `idle`. `target` is its place in the list. */
export function targetChange(loaded: LoadedConfig, at: { route: number; target: number }, key: string, wish: Wish): Change {
  const route: Path = ['routes', at.route];
  const single = isThere(loaded, [...route, 'target']);
  const base = single ? [...route, 'target'] : [...route, 'targets', at.target];
  const written = valueAt(loaded, base);
  if (typeof written !== 'string') return changeAt(loaded, [...base, key], wish);
  const mapping = `{ url: ${JSON.stringify(written)}, ${key}: ${wish.wanted} }`;
  const write = single ? `target: ${mapping}` : `- ${mapping}`;
  const place = placed(loaded, base);
  // The entry of a document has a target as a route has.
  const isDescribed = loaded.source.isDescribed(at.route) && place.file !== loaded.source.file;
  return {
    ...place,
    ...change([...base, key], wish, true),
    write: isDescribed ? `x-foregate: { target: ${mapping} }` : write,
  };
}

/** A setting of a route, which may stand in `defaults`, such as `limits`, `queueBytes`. */
export function routeChange(loaded: LoadedConfig, route: number, keys: Path, wish: Wish): Change {
  const own: Path = ['routes', route, ...keys];
  const shared: Path = ['defaults', ...keys];
  return changeAt(loaded, !isThere(loaded, own) && isThere(loaded, shared) ? shared : own, wish);
}

/** A setting of no route, such as `limits`, `headerBytes`. */
export function programChange(loaded: LoadedConfig, keys: Path, wish: Wish): Change {
  return changeAt(loaded, keys, wish);
}

/** The name of a route's adapter, which may stand alone or among its settings. */
export function adapterChange(loaded: LoadedConfig, route: number, wish: Wish): Change {
  const { path } = routeChange(loaded, route, ['adapter'], wish);
  const isNamed = isThere(loaded, ['routes', route, 'adapter', 'use']) || isThere(loaded, ['defaults', 'adapter', 'use']);
  const isOwnName = path.startsWith('routes') && !isThere(loaded, ['routes', route, 'adapter', 'use']);
  return routeChange(loaded, route, isNamed && !isOwnName ? ['adapter', 'use'] : ['adapter'], wish);
}

function changeAt(loaded: LoadedConfig, path: Path, wish: Wish): Change {
  const known = path.findLastIndex((_, index) => isThere(loaded, path.slice(0, index + 1))) + 1;
  const [first, ...rest] = path.slice(known === path.length ? -1 : known).map(String);
  const write = `${first ?? ''}: ${rest.reduceRight((inner, key) => `{ ${key}: ${inner} }`, wish.wanted)}`;
  // In a document the options of a route have a mapping of their own.
  const isNew = known === 2 && path[0] === 'routes' && loaded.source.isDescribed(Number(path[1]));
  return {
    ...placed(loaded, path),
    ...change(path, wish, known < path.length),
    write: isNew ? `x-foregate-route: { ${write} }` : write,
  };
}

function change(path: Path, { now }: Wish, isDefault: boolean): Pick<Change, 'path' | 'now' | 'isDefault'> {
  return { path: formatPath(path), now, isDefault };
}

function placed({ source }: LoadedConfig, path: Path): Pick<Change, 'file' | 'line' | 'column'> {
  const { file, line, column } = source.locate(path, 'value');
  return { file, line, column };
}

function isThere(loaded: LoadedConfig, path: Path): boolean {
  return valueAt(loaded, path) !== undefined;
}

function valueAt({ source }: LoadedConfig, path: Path): unknown {
  return path.reduce<unknown>((value, key) => {
    if (Array.isArray(value)) return value[Number(key)] as unknown;
    return isMapping(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  }, source.value);
}
