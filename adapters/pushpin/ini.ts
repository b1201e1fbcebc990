/**
 * The syntax of `pushpin.conf`: an INI file as Pushpin reads it. Lists stand apart by commas, double quotes keep commas and
 * semicolons, a semicolon outside of them begins a comment, a backslash escapes, and at the end of a line joins it with the next.
 */
export interface IniEntry {
  /** `section/option`, both as written: case counts. */
  readonly name: string;
  readonly line: number;
  /** What stands between commas, at least one (perhaps empty) text. */
  readonly values: readonly string[];
}

export interface Ini {
  readonly entries: readonly IniEntry[];
  /** Lines that are neither a section, an option, a comment nor empty. */
  readonly strange: readonly number[];
}

/** Never throws. */
export function readIni(text: string): Ini {
  const entries: IniEntry[] = [];
  const strange: number[] = [];
  let section = '';
  for (const { line, text: written } of logicalLines(text)) {
    if (written === '' || written.startsWith('#') || written.startsWith(';')) continue;
    const [, header] = /^\[([^\]]*)\]/.exec(written) ?? [];
    const at = written.indexOf('=');
    if (header !== undefined) section = header.trim();
    else if (at < 1) strange.push(line);
    else entries.push({ name: `${section}/${written.slice(0, at).trimEnd()}`, line, values: readValues(written.slice(at + 1)) });
  }
  return { entries, strange };
}

/** Lines without the space around them, joined where one ends with a backslash. */
function logicalLines(text: string): { readonly line: number; readonly text: string }[] {
  const lines: { line: number; text: string }[] = [];
  let open = false;
  for (const [index, written] of text.split(/\r\n|\n|\r/).entries()) {
    const last = lines.at(-1);
    const joins = endsOpen(written);
    const part = joins ? written.slice(0, -1) : written;
    if (open && last) last.text += part;
    else lines.push({ line: index + 1, text: part });
    // A comment ends with its line.
    open = joins && !/^\s*[#;]/.test(lines.at(-1)?.text ?? '');
  }
  return lines.map(({ line, text: joined }) => ({ line, text: joined.trim() }));
}

/** True if the line ends with a backslash that is not itself escaped. */
function endsOpen(line: string): boolean {
  const [slashes = ''] = /\\*$/.exec(line) ?? [];
  return slashes.length % 2 === 1;
}

const simpleEscapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '"': '"',
  "'": "'",
  '?': '?',
  '\\': '\\',
};

/** A piece of a value: an escape, a mark, or one other character. */
const piece = /\\x([0-9a-fA-F]{1,4})|\\([0-7]{1,3})|\\(.?)|([",;])|(.)/gsu;

interface Value {
  text: string;
  /** How much of the text stays: space after it goes, unless it stood in quotes. */
  solid: number;
}

function readValues(written: string): string[] {
  let value: Value = { text: '', solid: 0 };
  const values = [value];
  let quotes = false;
  for (const [, hex, octal, escape, mark, other = ''] of written.trim().matchAll(piece)) {
    if (mark === '"') quotes = !quotes;
    else if (mark === ';' && !quotes) break;
    else if (mark === ',' && !quotes) values.push((value = { text: '', solid: 0 }));
    else if (!quotes && other.trim() === '' && other !== '') addSpace(value, other);
    else addSolid(value, mark ?? escaped(hex, octal, escape) ?? other);
  }
  return values.map(({ text, solid }) => text.slice(0, solid));
}

function escaped(hex: string | undefined, octal: string | undefined, simple: string | undefined): string | undefined {
  if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
  if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
  // What is no escape is left out, as Pushpin does.
  return simple === undefined ? undefined : (simpleEscapes[simple] ?? '');
}

function addSpace(value: Value, space: string): void {
  if (value.text !== '') value.text += space;
}

function addSolid(value: Value, text: string): void {
  value.text += text;
  value.solid = value.text.length;
}
