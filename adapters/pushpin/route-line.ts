/**
 * The words of one line of a Pushpin routes file (GRIP 7.1): sections apart by spaces, in each a name and its properties after
 * commas. What is odd here is odd there too: a tab is an ordinary character, and quotes hide separators but no `=`.
 */
export interface Section {
  /** The host of a condition, or a target. */
  readonly name: string;
  readonly properties: readonly Property[];
}

export interface Property {
  readonly name: string;
  /** Empty for a property without `=`. */
  readonly value: string;
}

/** What is wrong with the line, as the rest of a sentence. */
export interface LineFault {
  readonly fault: string;
}

/** The sections of a line; none for an empty line or one that is all comment. */
export function readRouteLine(line: string): readonly Section[] | LineFault {
  const tokens = tokensOf(line.trimEnd());
  return 'fault' in tokens ? tokens : sectionsOf(tokens);
}

type Token = { readonly kind: 'word'; readonly text: string } | { readonly kind: 'comma' | 'space' };

const space = ' ';
const wordEnds: ReadonlySet<string> = new Set([space, ',', '#']);

function tokensOf(line: string): readonly Token[] | LineFault {
  const tokens: Token[] = [];
  let at = 0;
  while (at < line.length && line[at] !== '#') {
    const kind = line[at] === space ? 'space' : line[at] === ',' ? 'comma' : 'word';
    if (kind === 'word') {
      const word = readWord(line, at);
      if ('fault' in word) return word;
      tokens.push({ kind, text: word.text });
      at = word.end;
    } else {
      tokens.push({ kind });
      at += 1;
    }
  }
  return tokens;
}

interface Word {
  readonly text: string;
  /** Where the line goes on. */
  readonly end: number;
}

/** A word with its quoted parts, the quotes taken off. */
function readWord(line: string, start: number): Word | LineFault {
  let text = '';
  let at = start;
  while (at < line.length && !wordEnds.has(line[at] ?? '')) {
    if (line[at] === '"') {
      const quoted = readQuoted(line, at + 1);
      if ('fault' in quoted) return quoted;
      text += quoted.text;
      at = quoted.end;
    } else {
      text += line[at] ?? '';
      at += 1;
    }
  }
  return { text, end: at };
}

function readQuoted(line: string, start: number): Word | LineFault {
  let text = '';
  for (let at = start; at < line.length; at += 1) {
    const character = line[at] ?? '';
    if (character === '"') return { text, end: at + 1 };
    if (character === '\\') {
      at += 1;
      const escaped = line[at] ?? '';
      if (escaped !== '\\' && escaped !== '"')
        return { fault: 'has a "\\" in quotes before something else than "\\" or a quote' };
      text += escaped;
    } else {
      text += character;
    }
  }
  return { fault: 'has a quote that is not closed' };
}

function sectionsOf(tokens: readonly Token[]): readonly Section[] | LineFault {
  const sections: Section[] = [];
  let at = 0;
  while (at < tokens.length) {
    if (tokens[at]?.kind === 'space') {
      at += 1;
      continue;
    }
    const end = sectionEnd(tokens, at);
    const section = sectionOf(tokens.slice(at, end), sections.length === 0 ? 'condition' : 'target');
    if ('fault' in section) return section;
    sections.push(section);
    at = end;
  }
  return sections;
}

function sectionEnd(tokens: readonly Token[], start: number): number {
  const end = tokens.findIndex(({ kind }, index) => index > start && kind === 'space');
  return end < 0 ? tokens.length : end;
}

function sectionOf(tokens: readonly Token[], role: 'condition' | 'target'): Section | LineFault {
  const words = wordsOf(tokens);
  if (words === undefined) return { fault: 'has a comma with no property after it' };
  const [first = '', ...rest] = words;
  const bare = first.includes('=');
  if (bare && role === 'target') return { fault: 'has properties where a target should stand' };
  const properties = (bare ? [first, ...rest] : rest).map(propertyOf);
  if (properties.some(({ name }) => name === '')) return { fault: 'has a property without a name' };
  return { name: bare ? '' : first, properties };
}

/** The first is empty for a section that begins with a comma; undefined where nothing follows a comma. */
function wordsOf(tokens: readonly Token[]): string[] | undefined {
  const all: readonly Token[] = tokens[0]?.kind === 'comma' ? [{ kind: 'word', text: '' }, ...tokens] : tokens;
  const words = all.flatMap((token, index) => (token.kind === 'word' && index % 2 === 0 ? [token.text] : []));
  return words.length * 2 - 1 === all.length ? words : undefined;
}

function propertyOf(word: string): Property {
  const at = word.indexOf('=');
  return at < 0 ? { name: word, value: '' } : { name: word.slice(0, at), value: word.slice(at + 1) };
}
