/** How APISIX changes the path: an upstream has none, so what stands before it is put there by `proxy-rewrite`. */
import type { GatewayRoute } from '../conversion/gateway-route.ts';
import type { Raw } from '../conversion/present.ts';

type Paths = Pick<GatewayRoute, 'path' | 'backend' | 'stripPath'>;

const wholePath = '^(/.*)';

/** The options of `proxy-rewrite`; undefined where the path stays. */
export function rewrite({ path, backend, stripPath }: Paths): Raw | undefined {
  // A `$` would begin the number of a group.
  const base = backend.pathname.replace(/\/$/, '').replace(/\$/g, '$$$$');
  if (stripPath) return { regex_uri: [cutPattern(path), `${base}/$1`] };
  return base === '' ? undefined : { regex_uri: [wholePath, `${base}$1`] };
}

/** What {@link rewrite} has made a `regex_uri` from, for routes with this path; undefined for any other. */
export function readRewrite(
  path: string,
  [pattern, replacement = '']: readonly string[],
): { readonly stripPath: boolean; readonly base: string } | undefined {
  const stripPath = pattern === cutPattern(path);
  const end = stripPath ? '/$1' : '$1';
  if ((!stripPath && pattern !== wholePath) || !replacement.endsWith(end)) return undefined;
  const base = replacement.slice(0, -end.length);
  return base.replaceAll('$$', '').includes('$') ? undefined : { stripPath, base: base.replaceAll('$$', '$') };
}

/** `/chat`, and the slash after it where there is one. */
function cutPattern(path: string): string {
  return `^${path.replace(/\/$/, '').replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}/?(.*)`;
}
