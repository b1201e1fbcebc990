/** In which order Kong tries its routes: what matches by more comes first, then by exact hosts, then by longer paths. */

/** What a route of Kong matches by. */
export interface KongMatch {
  readonly hosts: readonly string[];
  /** Undefined: by no path. */
  readonly path: string | undefined;
  readonly isRegex: boolean;
  /** Of a regular expression; higher ones come first. */
  readonly regexPriority: number;
  readonly hasMethods: boolean;
  readonly headerCount: number;
  readonly hasSnis: boolean;
}

/** For `sort`: negative if `a` is tried before `b`. */
export function compareMatches(a: KongMatch, b: KongMatch): number {
  return (
    fields(b) - fields(a) ||
    Number(hasExactHost(b)) - Number(hasExactHost(a)) ||
    b.headerCount - a.headerCount ||
    Number(b.isRegex) - Number(a.isRegex) ||
    b.regexPriority - a.regexPriority ||
    (b.path ?? '').length - (a.path ?? '').length
  );
}

function fields({ hosts, path, hasMethods, headerCount, hasSnis }: KongMatch): number {
  return [hosts.length > 0, path !== undefined, hasMethods, headerCount > 0, hasSnis].filter(Boolean).length;
}

function hasExactHost({ hosts }: KongMatch): boolean {
  return hosts.length > 0 && hosts.every((host) => !host.includes('*'));
}
