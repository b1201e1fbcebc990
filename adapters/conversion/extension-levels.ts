/** Vendor extensions of an OpenAPI document at its three levels: the document, a path and an operation. */
import type { ExtensionRemark, GatewayMember } from '../../gateway/core/gateway-extensions.ts';
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';

/** A value and where it stands. */
export interface Found<T = unknown> {
  readonly value: T;
  readonly owner: Mapping;
  readonly from: string;
}

/** The innermost extension with this name, if it is a mapping. */
export function innermost(levels: readonly Mapping[], name: string): Found<Mapping> | undefined {
  const owner = levels.toReversed().find((level) => isMapping(level[name]));
  return owner && { value: owner[name] as Mapping, owner, from: name };
}

/** What stands at the end of keys; undefined if a part of the way is missing. */
export function below(part: Mapping, ...keys: readonly [string, ...string[]]): Found | undefined {
  const way = keys.slice(0, -1).reduce<unknown>((at, key) => (isMapping(at) ? at[key] : undefined), part);
  const from = keys.at(-1) ?? '';
  return isMapping(way) && way[from] !== undefined ? { value: way[from], owner: way, from } : undefined;
}

/** For `adapter.gateway`; nothing where nothing was found. */
export function member(key: string, found: Found | undefined, value: unknown = found?.value): GatewayMember[] {
  return found === undefined || value === undefined ? [] : [{ key, value, owner: found.owner, from: found.from }];
}

/** Extensions with the prefix that nobody has read. */
export function unread(levels: readonly Mapping[], prefix: string, read: readonly string[]): ExtensionRemark[] {
  return levels.flatMap((owner) =>
    Object.keys(owner)
      .filter((name) => name.startsWith(prefix) && !read.includes(name))
      .map((from) => ({ owner, from, text: 'is not read; the gateway goes on with it' })),
  );
}
