/** The metadata of one session: made at its first item, bounded, gone with its last. */
import { limits } from '../core/limits.ts';

export type MetadataItems = Map<string, string> | undefined;

/** Sets an item, or deletes it where the value is undefined; beyond the bound new names are not taken. */
export function withItem(items: MetadataItems, name: string, value: string | undefined): MetadataItems {
  const next = items ?? new Map<string, string>();
  if (value === undefined) next.delete(name);
  else if (next.has(name) || next.size < limits.metadataItems) next.set(name, value);
  return next.size === 0 ? undefined : next;
}
