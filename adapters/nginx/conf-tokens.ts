/** Cuts an nginx configuration into words, `;`, `{` and `}`, as nginx does. */

export interface Token {
  readonly kind: 'word' | ';' | '{' | '}';
  readonly text: string;
  /** From 1. */
  readonly line: number;
}

/** More than any file that people write; what comes after is left out. */
const tokensMax = 200_000;

/** One at a place: what stands between two words, a comment, a quoted word, a mark, or a plain word, in which `${name}` may stand. */
const pattern =
  /(?<space>\s+)|(?<comment>#[^\n]*)|"(?<double>(?:[^"\\]|\\[^])*)"|'(?<single>(?:[^'\\]|\\[^])*)'|(?<mark>[;{}])|(?<word>(?:\\[^]|\$\{|[^\s;{}\\"'#])(?:\\[^]|\$\{[^\s;{}]*\}|[^\s;{\\])*)/y;

/** `broken`: the line from which on nothing can be read, such as that of a quote without an end. */
export function tokensOf(text: string): { readonly tokens: readonly Token[]; readonly broken: number | undefined } {
  const tokens: Token[] = [];
  const step = new RegExp(pattern);
  let line = 1;
  while (step.lastIndex < text.length) {
    const found = step.exec(text);
    if (found === null || tokens.length === tokensMax) return { tokens, broken: line };
    const token = tokenOf(found, line);
    if (token !== undefined) tokens.push(token);
    line += found[0].split('\n').length - 1;
  }
  return { tokens, broken: undefined };
}

function tokenOf({ groups = {} }: RegExpExecArray, line: number): Token | undefined {
  const { double, single, mark, word } = groups as Partial<Record<string, string>>; // Groups that did not take part are undefined.
  if (mark === ';' || mark === '{' || mark === '}') return { kind: mark, text: mark, line };
  const text = double ?? single ?? word;
  return text === undefined ? undefined : { kind: 'word', text: unescaped(text), line };
}

/** Before other characters a backslash stays: regular expressions need it. */
function unescaped(text: string): string {
  return text.replace(/\\(["'\\tnr])/g, (_, character: string) => named[character] ?? character);
}

const named: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r' };
