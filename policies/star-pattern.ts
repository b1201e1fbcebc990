/** Texts with `*` in them, which stands for any text, also none. */

/** Whether a text consists of these parts, in this order, with anything between them; one part alone is the whole text. */
export function fitsParts(text: string, parts: readonly string[]): boolean {
  const [start = '', ...others] = parts;
  const end = others.pop();
  if (end === undefined) return text === start;
  if (!text.startsWith(start)) return false;
  let at = start.length;
  for (const other of others) {
    const found = text.indexOf(other, at);
    if (found < 0) return false;
    at = found + other.length;
  }
  return text.length - end.length >= at && text.endsWith(end);
}

/** True for texts that fit one of the patterns; for all where there are none. */
export function starPatterns(patterns: readonly string[] | undefined): (text: string) => boolean {
  if (patterns === undefined) return () => true;
  const all = patterns.map((pattern) => pattern.split('*'));
  return (text) => all.some((parts) => fitsParts(text, parts));
}
