/**
 * Regular expressions so plain that the built-in engine, which is many times faster than RE2, cannot take long with them: from the
 * start of the text one character after another, all of ASCII, and one repetition of no fixed length at most.
 */

const escaped = String.raw`\\[dw\\^$.*+?()[\]{}|/-]`;
const inClass = String.raw`(?:[A-Za-z0-9_ .,:;@#%&=!<>~+*?/()|$'"-]|${escaped})`;
const atom = String.raw`(?:[A-Za-z0-9_ ,:;@#%&=!<>~/'"-]|${escaped}|\[${inClass}+\])`;
const fixedCount = String.raw`\{\d{1,2}\}`;
const repetition = String.raw`(?:[?+*]|\{\d{1,4},(?:\d{1,4})?\})`;

/** How often one character after another is looked for behind a repetition, at each of its ends. */
const charactersMax = 256;

const plain = new RegExp(`^\\^(?:${atom}(?:${fixedCount})?)*(?:${atom}${repetition}(?:${atom}(?:${fixedCount})?)*)?\\$?$`);

/** Undefined for a pattern that is not as plain, or none at all. */
export function plainPattern(pattern: string): RegExp | undefined {
  if (pattern.length > charactersMax || !plain.test(pattern)) return undefined;
  const counts = pattern.match(/\{\d{1,2}\}/g) ?? [];
  const characters = counts.reduce((sum, count) => sum + Number(count.slice(1, -1)), pattern.length);
  if (characters > charactersMax) return undefined;
  try {
    return new RegExp(pattern);
  } catch {
    return undefined;
  }
}
