/**
 * The rules of ARCHITECTURE.md, as functions over source texts: who may import whom, which packages stand where, and how files
 * begin and are named. Each gives a list of sentences, empty when all is well.
 */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join, posix } from 'node:path';

/** A file: its path from the root of the repository, and its text. */
export interface Source {
  readonly path: string;
  readonly text: string;
}

interface Import {
  /** `./x.ts`, `node:net`, `express`, `ajv/dist/2020.js`. */
  readonly from: string;
  readonly typeOnly: boolean;
}

/** The folders of the product, lowest floor first. A file imports from a lower floor or from its own folder. */
const floors: readonly (readonly string[])[] = [
  ['gateway/core'],
  ['gateway/wire', 'gateway/engines', 'openapi'],
  ['policies', 'adapters', 'gateway/channel', 'gateway/downstream', 'gateway/backend'],
  ['gateway/session'],
  ['gateway/front', 'gateway/control'],
  ['gateway/config'],
  ['gateway/doctor'],
  ['gateway'],
  ['gateway/testing', 'bin'],
];

/** Which npm packages a folder may use. Options are declared with `typebox` everywhere. */
const packagesOf: Readonly<Record<string, readonly string[]>> = {
  'gateway/core': [],
  'gateway/wire': ['jsonwebtoken', 'rfc6902'],
  'gateway/engines': ['rate-limiter-flexible', 'ioredis', '@nats-io/transport-node'],
  openapi: ['@apidevtools/json-schema-ref-parser', 'ajv', 'ajv-formats', 'openapi-types', 're2js', 'yaml'],
  policies: ['bcryptjs', 'jsonwebtoken', 'jwks-rsa', 'yaml'],
  adapters: ['express', 'fflate', 'yaml'],
  'gateway/channel': [],
  'gateway/downstream': ['undici', 'http-proxy-middleware', 'ws'],
  'gateway/backend': ['express', 'jsonwebtoken'],
  'gateway/session': ['ws'],
  'gateway/front': ['ws'],
  'gateway/control': ['express', 'prom-client', 'jsonwebtoken', 'zeromq'],
  'gateway/config': ['ajv', 'ajv-formats', 'yaml', 'fastest-levenshtein'],
  'gateway/doctor': [],
  gateway: [],
  'gateway/testing': ['ajv'],
  bin: ['commander', 'json-schema-to-typescript', 'pino', 'jsonwebtoken'],
};

/** The core knows values, not machines: of Node it may use what computes. */
const coreBuiltins = ['node:buffer', 'node:crypto', 'node:net'];

const roots = ['gateway', 'adapters', 'policies', 'openapi', 'bin'];
const asides = ['test', 'examples', 'bench', 'docs'];
const talkers = ['bin', 'examples', 'bench', 'docs'];
const emptyNames = ['utils', 'util', 'common', 'helpers', 'helper', 'misc', 'types', 'shared'];

/** All TypeScript of the product, and with `asides` that around it. */
export async function readSources(root: string, scope: 'product' | 'everything'): Promise<Source[]> {
  const folders = scope === 'product' ? roots : [...roots, ...asides];
  const lists = await Promise.all(folders.map((folder) => sourcesBelow(root, folder)));
  return lists.flat();
}

async function sourcesBelow(root: string, folder: string): Promise<Source[]> {
  const entries = await readdir(join(root, folder), { recursive: true });
  const paths = entries.filter((entry) => entry.endsWith('.ts')).map((entry) => posix.join(folder, entry));
  return Promise.all(paths.toSorted().map(async (path) => ({ path, text: await readFile(join(root, path), 'utf8') })));
}

/** Imports of a higher floor, or of a neighbour on the same floor. */
export function floorFaults(sources: readonly Source[]): string[] {
  return sources.flatMap((source) => {
    const from = folderOf(source.path);
    if (from === undefined) return [`${source.path} is in a folder that has no floor`];
    return localImports(source).flatMap((path) => floorFault(source.path, from, path));
  });
}

function floorFault(path: string, from: string, imported: string): string[] {
  const to = folderOf(imported);
  if (to === undefined) return [`${path} imports ${imported}, which is not part of the product`];
  if (
    to === 'adapters' &&
    adapterOf(path) !== undefined &&
    adapterOf(imported) !== undefined &&
    adapterOf(path) !== adapterOf(imported)
  ) {
    return [`${path} imports ${imported}: an adapter knows only its own system`];
  }
  if (to === from || floorOf(to) < floorOf(from)) return [];
  return [`${path} (floor ${floorOf(from)}) imports ${imported} (floor ${floorOf(to)})`];
}

/** Modules that import each other in a circle, type imports included. */
export function cycles(sources: readonly Source[]): string[] {
  const graph = new Map(sources.map((source) => [source.path, localImports(source)]));
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) found.push([...trail.slice(at), path].join(' -> '));
    if (at >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

/** npm packages outside the folders that may use them, and built-in modules the core should not know. */
export function packageFaults(sources: readonly Source[]): string[] {
  return sources.flatMap((source) => {
    const folder = folderOf(source.path) ?? '';
    const allowed = ['typebox', ...(packagesOf[folder] ?? [])];
    return imports(source).flatMap(({ from, typeOnly }) => {
      if (from.startsWith('.')) return [];
      if (from.startsWith('node:')) return builtinFaults(source.path, folder, from, typeOnly);
      return allowed.includes(packageName(from))
        ? []
        : [`${source.path} uses ${packageName(from)}, which does not belong in ${folder}`];
    });
  });
}

function builtinFaults(path: string, folder: string, from: string, typeOnly: boolean): string[] {
  if (folder !== 'gateway/core' || typeOnly || coreBuiltins.includes(from)) return [];
  return [`${path} uses ${from}: the core may know its types, no more`];
}

/** The one place that calls the control API through supertest, and holds all that goes through it against the document. */
const callsChecker = 'test/control/documented-calls.ts';

/** Uses of supertest that go past the check of requests and answers. */
export function uncheckedCallFaults(sources: readonly Source[]): string[] {
  return sources
    .filter((source) => source.path !== callsChecker)
    .filter((source) => imports(source).some(({ from, typeOnly }) => packageName(from) === 'supertest' && !typeOnly))
    .map((source) => `${source.path} uses supertest: ${callsChecker} has calls that are checked`);
}

/** `console` where a log or a return value is meant. */
export function consoleFaults(sources: readonly Source[]): string[] {
  const quiet = sources.filter((source) => !talkers.includes(firstFolder(source.path)));
  return quiet
    .filter((source) => /^(?!\s*(?:\/\/|\*|\/\*)).*\bconsole\./m.test(source.text))
    .map((source) => `${source.path} uses console`);
}

/** Files that do not begin with a comment that says what they are for. Tests say it with `describe`. */
export function openingFaults(sources: readonly Source[]): string[] {
  const comment = /^(?:#!.*\n)?(?:\/\*[\s*]*[\w`]|\/\/ \S)/;
  const files = sources.filter((source) => !source.path.endsWith('.test.ts'));
  return files
    .filter((source) => !comment.test(source.text))
    .map((source) => `${source.path} does not say in its first lines what it is for`);
}

/** The one place where secrets are compared. */
const secretComparer = 'gateway/core/secret.ts';

/** Comparisons that look like ones of secrets and are none: file, a piece of the line, and why. */
const harmlessComparisons: readonly (readonly [path: string, piece: string, why: string])[] = [
  ['gateway/config/reference.ts', 'schema.required?.includes(key)', 'the key of a mapping'],
  ['adapters/pushpin/target-settings.ts', 'clientCert !== clientKey', 'names of files'],
  ['adapters/conversion/gateway-model.ts', 'keys.get(name) !== key', 'two settings of one file'],
];

/**
 * Comparisons of what may be a secret, by its name, outside of the one place. With something that is written in the code nothing
 * is given away: that is no secret.
 */
export function secretFaults(sources: readonly Source[]): string[] {
  return sources
    .filter(({ path }) => path !== secretComparer)
    .flatMap(({ path, text }) =>
      codeLines(text)
        .filter((line) => comparesSecret(line) && !isHarmless(path, line))
        .map((line) => `${path} compares a secret: ${line}`),
    );
}

/** Entries of the list of harmless comparisons that stand in their file no more. */
export function staleAllowances(sources: readonly Source[]): string[] {
  const texts = new Map(sources.map(({ path, text }) => [path, text]));
  const stale = harmlessComparisons.filter(([path, piece]) => texts.get(path)?.includes(piece) !== true);
  return stale.map(([path, piece]) => `${path} has no ${piece} any more`);
}

function isHarmless(path: string, line: string): boolean {
  return harmlessComparisons.some(([where, piece]) => where === path && line.includes(piece));
}

function codeLines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => !/^(?:\/\/|\*|\/\*)/.test(line));
}

/** `apiKey`, `entry.digest`, `password?.trim()`, `String(token)`; not `keys.length`, `tokenType`, `keyPattern`. */
const secretOperand =
  /(?:^|[^A-Za-z])(?:[a-z]\w*)?(?:token|secret|password|key|signature|digest|credential|hmac|bearer)s?\)*(?:\[\w+\])?(?:\??\.(?:trim|toString|toLowerCase)\([^()]*\))?\)*$/i;
const writtenOut = /^(?:'[^']*'|"[^"]*"|`[^`$]*`|-?\d[\d_.]*|undefined|null|true|false)\)*$/;
const operand = String.raw`(?:'[^']*'|"[^"]*"|[\w$#.?!]+(?:\[[^\]]*\]|\([^()]*\)|[\w$#.?!])*)`;
const equality = new RegExp(`(?<kind>typeof )?(?<left>${operand})\\s*[=!]==?\\s*(?<right>${operand})`, 'g');
const search = new RegExp(
  `(?<left>[\\w$#.?!]+)\\??\\.(?:equals|includes|indexOf|startsWith|endsWith|localeCompare)\\((?<right>${operand})`,
  'g',
);

function comparesSecret(line: string): boolean {
  if (line.includes('timingSafeEqual')) return true;
  return [...line.matchAll(equality), ...line.matchAll(search)].some(({ groups }) => {
    const { kind, left = '', right = '' }: Partial<Record<string, string>> = groups ?? {};
    if (kind !== undefined || writtenOut.test(left) || writtenOut.test(right)) return false;
    return secretOperand.test(left) || secretOperand.test(right);
  });
}

/** Names that say nothing, and names in another spelling than kebab-case. */
export function nameFaults(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path }) => {
    const parts = path.replace(/\.ts$/, '').split('/');
    const name = basename(path).replace(/(\.test|\.contract)?\.ts$/, '');
    if (parts.some((part) => emptyNames.includes(part.replace(/\.test$/, '')))) return [`${path}: the name says nothing`];
    return /^[a-z0-9]+(-[a-z0-9]+)*$/.test(name) ? [] : [`${path} is not in kebab-case`];
  });
}

/** What a file imports, statically and by `import()`, types included. */
export function imports({ text }: Source): Import[] {
  const statements = [...text.matchAll(/^(?:import|export)\s+(type\s)?[^;'"()]*?\bfrom\s+['"]([^'"]+)['"]/gm)];
  const plain = [...text.matchAll(/^import\s+['"]([^'"]+)['"]/gm), ...text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)];
  return [
    ...statements.map(([, type, from = '']) => ({ from, typeOnly: type !== undefined })),
    ...plain.map(([, from = '']) => ({ from, typeOnly: false })),
  ];
}

function localImports(source: Source): string[] {
  const relative = imports(source).filter(({ from }) => from.startsWith('.'));
  return [...new Set(relative.map(({ from }) => posix.join(posix.dirname(source.path), from)))];
}

/** The longest folder of the floors that holds the file. */
function folderOf(path: string): string | undefined {
  const known = floors.flat().filter((folder) => path.startsWith(`${folder}/`));
  const folder = known.toSorted((a, b) => b.length - a.length)[0];
  // `gateway` is for the few files directly in it: a new folder below it needs a floor of its own.
  return folder === 'gateway' && posix.dirname(path) !== 'gateway' ? undefined : folder;
}

function floorOf(folder: string): number {
  return floors.findIndex((floor) => floor.includes(folder));
}

/** The folder of one system; what all exports and imports share is none. */
function adapterOf(path: string): string | undefined {
  const [, folder] = /^adapters\/([^/]+)\//.exec(path) ?? [];
  return folder === 'conversion' ? undefined : folder;
}

function firstFolder(path: string): string {
  return path.split('/')[0] ?? '';
}

function packageName(from: string): string {
  return from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/');
}
