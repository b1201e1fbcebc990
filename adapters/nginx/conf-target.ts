/** Where a location of nginx sends requests: `proxy_pass`, through the upstreams that it may name. */
import type { Remark } from '../conversion/gateway-route.ts';
import { told } from '../conversion/remark.ts';
import type { HttpNames } from './conf-http.ts';
import type { Scope } from './scope.ts';

export interface ConfTarget {
  /** Undefined where nothing is passed on by HTTP, or nobody knows where. */
  readonly backend: URL | undefined;
  /** What `proxy_pass` puts in place of the path of the location; undefined: nothing. */
  readonly uri: string | undefined;
  /** The same, where this is an exported file. */
  readonly exported?: { readonly base: string; readonly stripPath: boolean } | undefined;
  readonly remarks: readonly Remark[];
}

const otherProtocols = ['fastcgi_pass', 'uwsgi_pass', 'scgi_pass', 'grpc_pass', 'memcached_pass'];

/** `place` is that of the location. */
export function targetOf(scope: Scope, names: HttpNames, place: string): ConfTarget {
  const pass = scope.own.find(({ name }) => name === 'proxy_pass');
  const other = scope.own.find(({ name }) => otherProtocols.includes(name));
  if (other !== undefined) return nowhere(told(other.place, `passes requests on by ${other.name}, not by HTTP; left out`));
  if (pass === undefined) return nowhere(...(answers(scope) ? [] : [told(place, 'serves files, or nothing; left out')]));
  const [, scheme = '', host = '', rest = ''] = /^(https?):\/\/([^/$]+)(.*)$/.exec(pass.args[0] ?? '') ?? [];
  const servers = names.upstreams.get(host) ?? [host];
  const url = `${scheme}://${servers[0] ?? ''}`;
  if (scheme === '' || !URL.canParse(url) || url.includes('://unix:'))
    return nowhere(told(pass.place, 'passes requests to where only nginx knows; left out'));
  const exported = exportedUri(rest, names);
  const remarks = [
    ...(servers.length > 1 ? [told(pass.place, `has ${servers.length} servers behind; the route names the first`)] : []),
    ...(rest.includes('$') && exported === undefined
      ? [told(pass.place, 'puts the path together from variables; taken for the path as it is')]
      : []),
  ];
  return { backend: new URL(url), uri: rest === '' || rest.includes('$') ? undefined : rest, exported, remarks };
}

/** What `foregate export nginx` writes: a map of the request's own path, whose rest stands behind that of the backend. */
function exportedUri(rest: string, { maps }: HttpNames): ConfTarget['exported'] {
  const { source, entries } = maps.get(/^\$uri_\d+/.exec(rest)?.[0] ?? '') ?? { source: '', entries: [] };
  const entry = entries.find(({ name }) => name.startsWith('~^'));
  const [, base] = /^(.*?)\/?\$rest_\d+$/.exec(entry?.args[0] ?? '') ?? [];
  if (source !== '$request_uri' || entry === undefined || base === undefined) return undefined;
  return { base, stripPath: entry.name.includes('/?(?<rest_') };
}

function nowhere(...remarks: readonly Remark[]): ConfTarget {
  return { backend: undefined, uri: undefined, remarks };
}

function answers(scope: Scope): boolean {
  return scope.own.some(({ name }) => name === 'return');
}

/** What stands in front of the path at the backend, and whether `path` is cut off before. */
export function basePathOf(path: string, uri: string | undefined): { readonly base: string; readonly stripPath: boolean } {
  if (uri === undefined || uri === path) return { base: '', stripPath: false };
  if (path !== '/' && uri.endsWith(path)) return { base: uri.slice(0, -path.length), stripPath: false };
  return { base: uri.replace(/\/+$/, ''), stripPath: path !== '/' };
}
