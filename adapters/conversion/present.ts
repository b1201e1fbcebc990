/** Settings as plain data, without what has no value: `undefined`, and mappings in which nothing is left. */
export type Raw = Readonly<Record<string, unknown>>;

export function present(settings: Raw): Raw {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

/** The same, or undefined if nothing is left. */
export function presentOrNone(settings: Raw): Raw | undefined {
  const left = present(settings);
  return Object.keys(left).length === 0 ? undefined : left;
}
