/** What a file gives for `key: value` lines: a plain object. */

export type Mapping = Readonly<Record<string, unknown>>;

/** True for a plain object, also an empty one; false for a list. */
export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
