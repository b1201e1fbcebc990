/** Finds in an nginx configuration where keys of callers are looked for, and who they are. */
import type { CredentialPlace, GatewayAuth, GatewayCaller, Remark } from '../conversion/gateway-route.ts';
import type { Directive } from './conf-file.ts';
import { told } from '../conversion/remark.ts';
import type { ConfMap, HttpNames } from './conf-http.ts';
import type { Scope } from './scope.ts';

export interface FoundAuth {
  readonly auth: GatewayAuth;
  /** The map with the keys. */
  readonly callers: ConfMap | undefined;
}

/** Known is `if ($caller = "") { return 401; }`, where `$caller` is a field, a parameter, or a map of one. */
export function authOf(scope: Scope, { maps }: HttpNames): FoundAuth {
  if ((scope.value('auth_jwt') ?? 'off') !== 'off') {
    const jwt = { kind: 'jwt', hidden: false, issuer: undefined, audience: undefined, jwks: undefined } as const;
    return { auth: jwt, callers: undefined };
  }
  const variable =
    scope
      .all('if')
      .map(refusedVariable)
      .find((name) => name !== undefined) ?? '';
  const callers = maps.get(variable);
  const place = placeOf(callers?.source ?? variable);
  if (place === undefined) return { auth: { kind: 'none' }, callers: undefined };
  return { auth: { kind: 'key', place, hidden: isHidden(scope, place) }, callers };
}

/** The variable of an `if` that refuses who has no key. */
export function refusedVariable(directive: Directive): string | undefined {
  const refuses = directive.block?.some(({ name, args }) => name === 'return' && /^40[13]$/.test(args[0] ?? '')) ?? false;
  return refuses ? emptyVariable(directive) : undefined;
}

/** The variable that an `if` wants to be empty; quotes are gone by then. */
export function emptyVariable({ name, args }: Directive): string | undefined {
  return name === 'if' ? /^\(\s*(\$\w+)\s*=\s*\)$/.exec(args.join(' '))?.[1] : undefined;
}

function placeOf(source: string): CredentialPlace | undefined {
  const [, where, name] = /^\$(http|arg)_(\w+)$/.exec(source) ?? [];
  if (name === undefined) return undefined;
  return where === 'http' ? { in: 'header', name: name.replaceAll('_', '-') } : { in: 'query', name };
}

/** A parameter is hidden where the query is rebuilt, as `foregate export nginx` does it. */
function isHidden(scope: Scope, place: CredentialPlace): boolean {
  if (place.in === 'query') return /\$args_\d+$/.test(scope.value('proxy_pass') ?? '');
  return scope.all('proxy_set_header').some(({ args: [name = '', value] }) => same(name, place.name) && value === '');
}

function same(a: string, b: string): boolean {
  return a.toLowerCase().replaceAll('_', '-') === b.toLowerCase();
}

/** Callers of a map, once each. Remarks have no key in them. */
export function callersOf(maps: readonly ConfMap[]): {
  readonly callers: readonly GatewayCaller[];
  readonly remarks: readonly Remark[];
} {
  const callers = new Map<string, GatewayCaller>();
  const remarks: Remark[] = [];
  for (const {
    name: key,
    args: [name = ''],
    place,
  } of maps.flatMap(({ entries }) => entries)) {
    if (key === 'default' || key === 'hostnames' || key === 'volatile') continue;
    const plain = plainKey(key);
    if (plain === undefined || !/^[A-Za-z0-9._-]{1,100}$/.test(name))
      remarks.push(told(place, 'is a key or caller that is not understood'));
    else callers.set(name, { name, key: plain });
  }
  return { callers: [...callers.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)), remarks };
}

/** The one key that an entry fits; undefined where it fits several. */
function plainKey(entry: string): string | undefined {
  if (!entry.startsWith('~')) return entry.replace(/^\\/, '');
  const [, inner] = /^~\^(.*)\$$/s.exec(entry) ?? [];
  const text = inner
    ?.replace(/\(\?:(\\x[0-9a-f]{2})\|\(\?i:%[0-9a-f]{2}\)\)/g, '$1')
    .replace(/\\x([0-9a-f]{2})/gi, (_, hex: string) => {
      const character = String.fromCharCode(Number.parseInt(hex, 16));
      return `\\${character}`;
    });
  if (text === undefined || !/^(?:[A-Za-z0-9_-]|\\[^A-Za-z0-9])*$/s.test(text)) return undefined;
  return text.replace(/\\(.)/gs, '$1');
}
