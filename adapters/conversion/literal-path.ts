/** The literal beginning of what a gateway compares paths with: routes here have no patterns. */

/** Of a regular expression that starts at the beginning of the path, with or without `^`; `/` where there is none. */
export function literalOfRegex(pattern: string): string {
  if (hasAlternatives(pattern)) return '/';
  const [beginning = ''] = /^(?:[^\\^$.|?*+()[\]{}]|\\[^A-Za-z0-9])*/.exec(pattern.replace(/^\^/, '')) ?? [];
  const rest = pattern.replace(/^\^/, '').slice(beginning.length);
  // What is repeated or may be missing is no part of it.
  const sure = /^[?*+{]/.test(rest) ? beginning.replace(/\\?.$/, '') : beginning;
  return absolute(sure.replace(/\\(.)/g, '$1'));
}

/** Up to the first of the characters with which parameters begin. */
export function literalOfTemplate(path: string, marks: string): string {
  const ends = marks.split('').map((mark) => path.indexOf(mark));
  return absolute(path.slice(0, Math.min(path.length, ...ends.filter((at) => at >= 0))));
}

/** `a|b`: neither stands for both. */
function hasAlternatives(pattern: string): boolean {
  let depth = 0;
  for (const [token] of pattern.matchAll(/\\.|\[(?:\\.|[^\]\\])*\]|[()|]/g)) {
    if (token === '(') depth += 1;
    else if (token === ')') depth -= 1;
    else if (token === '|' && depth === 0) return true;
  }
  return false;
}

function absolute(path: string): string {
  const sound = /^[\x21-\x7e]*/.exec(path)?.[0] ?? '';
  return sound.startsWith('/') ? sound : '/';
}
