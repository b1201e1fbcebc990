/** What is wrong with a file, as lines for people: place, path, and what to do. */

/** Where a value stands: keys of mappings and indexes of lists. */
export type Path = readonly (string | number)[];

/** Where a part of a file stands. */
export interface Place {
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** The part of the path that exists in the file. */
  readonly path: Path;
}

export interface Problem {
  /** As the caller named it. */
  readonly file: string;
  /** From 1; 0 where the file as a whole is meant. */
  readonly line: number;
  readonly column: number;
  /** `routes[0].policies[1].messages`; empty where the file as a whole or its syntax is meant. */
  readonly path: string;
  readonly message: string;
}

/** A place for a person: `path` is written out. */
export type PlaceInFile = Omit<Problem, 'message'>;

/** All that is wrong with a configuration; its message is the whole report. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(formatProblems(problems));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** One line per problem, its columns below one another. */
export function formatProblems(problems: readonly Problem[]): string {
  const places = problems.map(({ file, line, column }) => (line === 0 ? file : `${file}:${line}:${column}`));
  const placeWidth = Math.max(...places.map(({ length }) => length));
  const pathWidth = Math.max(...problems.map(({ path }) => path.length));
  return problems
    .map(({ path, message }, index) =>
      [places[index]?.padEnd(placeWidth), ...(pathWidth > 0 ? [path.padEnd(pathWidth)] : []), message].join('  '),
    )
    .join('\n');
}

/** `routes[0].policies[1].messages` */
export function formatPath(path: Path): string {
  return path.map(formatKey).join('');
}

function formatKey(key: string | number, index: number): string {
  if (typeof key === 'number') return `[${key}]`;
  if (!/^[\w$-]+$/.test(key)) return `[${JSON.stringify(key)}]`;
  return index > 0 ? `.${key}` : key;
}
