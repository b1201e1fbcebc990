/**
 * What the file does not hold itself: `${NAME}` and `${NAME:-default}` from the environment, in any text, and `file:PATH` where
 * the schema speaks of a secret or a PEM text. Also the reverse: settings for people to read, with the secrets hidden.
 */
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { isPemSchema, isSecretSchema } from '../core/secret.ts';
import { isMapping } from '../core/mapping.ts';
import type { JsonSchema } from './json-schema.ts';
import { formatPath, type Path } from '../core/problem.ts';
import { finding, type Finding } from './report.ts';
import { walk } from './walk.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** A value with its variables put in. */
export interface Substituted {
  readonly value: unknown;
  readonly findings: readonly Finding[];
  /** What stood in the file where a variable was put in, or undefined. */
  original(path: Path): string | undefined;
}

/** Puts variables into every text of `value` but those of verbatim parts; `$${` stands for a plain `${`. */
export function substitute(
  value: unknown,
  environment: Environment,
  isVerbatim: (part: object) => boolean = () => false,
): Substituted {
  const findings: Finding[] = [];
  const originals = new Map<string, string>();
  const visit = (part: unknown, path: Path): unknown => {
    if (typeof part === 'object' && part !== null && isVerbatim(part)) return part;
    if (Array.isArray(part)) return part.map((entry, index) => visit(entry, [...path, index]));
    if (isMapping(part))
      return Object.fromEntries(Object.entries(part).map(([key, entry]) => [key, visit(entry, [...path, key])]));
    if (typeof part !== 'string' || !part.includes('${')) return part;
    originals.set(formatPath(path), part);
    return withVariables(part, environment, (message) => findings.push(finding(path, message)));
  };
  return {
    value: visit(value, []),
    findings,
    original: (path) => (originals.size === 0 ? undefined : originals.get(formatPath(path))),
  };
}

/** Reads `file:PATH` from `directory` (and says by path which files these were), and turns text that came from a variable into the number or switch the schema wants. */
export function fillIn(
  value: unknown,
  schema: JsonSchema,
  base: Path,
  terms: { readonly directory: string; readonly original: Substituted['original'] },
): { readonly value: unknown; readonly findings: readonly Finding[]; readonly files: ReadonlyMap<string, string> } {
  const findings: Finding[] = [];
  const files = new Map<string, string>();
  const filled = walk(value, schema, base, (part, { type, ...marks }, path) => {
    if (typeof part !== 'string') return part;
    if (terms.original(path) !== undefined && type !== 'string') return asType(part, type);
    const file = fileOf(part, marks);
    if (file === undefined) return part;
    const read = readSmallFile(resolve(terms.directory, file));
    files.set(formatPath(path), resolve(terms.directory, file));
    if (read.text === undefined) findings.push(finding(path, `names the file ${JSON.stringify(file)}, which ${read.fault}`));
    return read.text ?? part;
  });
  return { value: filled, findings, files };
}

/** A copy for people: secrets are `***`, of a PEM text only the first line stays. */
export function masked(value: unknown, schema: JsonSchema): unknown {
  return walk(value, schema, [], (part, marks) => {
    if (isSecretSchema(marks)) return '***';
    return isPemSchema(marks) && typeof part === 'string' ? `${part.split('\n', 1)[0] ?? ''} ...` : part;
  });
}

const variable = /\$\$\{|\$\{([^}]*)\}?/g;

function withVariables(text: string, environment: Environment, fail: (message: string) => void): string {
  return text.replace(variable, (whole, inside: string | undefined) => {
    if (inside === undefined) return '${';
    const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside) ?? [];
    if (name === undefined || !whole.endsWith('}')) {
      fail('holds "${" that starts no variable such as ${NAME} or ${NAME:-default}; write "$${" for a plain "${"');
      return whole;
    }
    const found = environment[name];
    // As in a shell: with `:-` an empty variable counts as none.
    if (found !== undefined && (found !== '' || fallback === undefined)) return found;
    if (fallback !== undefined) return fallback;
    fail(`needs the environment variable ${name}, which is not set; \${${name}:-...} gives a default`);
    return whole;
  });
}

function asType(text: string, type: JsonSchema['type']): unknown {
  if ((type === 'integer' || type === 'number') && /^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

/** The file that a secret or PEM text is to be read from. */
function fileOf(text: string, marks: object): string | undefined {
  const marked = isSecretSchema(marks) || isPemSchema(marks);
  if (marked && text.startsWith('file:')) return text.slice('file:'.length);
  // A certificate that is not there as text can only be a path.
  return isPemSchema(marks) && !text.includes('-----BEGIN') ? text : undefined;
}

const fileBytesMax = 1_000_000;

function readSmallFile(path: string): { readonly text?: string; readonly fault: string } {
  try {
    const about = statSync(path);
    if (!about.isFile()) return { fault: 'is not a file' };
    if (about.size > fileBytesMax) return { fault: `is larger than ${fileBytesMax} bytes` };
    const text = readFileSync(path, 'utf8').trim();
    return text === '' ? { fault: 'is empty' } : { text, fault: '' };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return { fault: code === 'ENOENT' ? 'does not exist' : 'cannot be read' };
  }
}
