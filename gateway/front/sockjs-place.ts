/** What a path means to SockJS (protocol 0.3.3), and the path that its sessions have towards the backend. */
import type { SockJsTerms } from '../core/route.ts';

export type SockJsPlace =
  | { readonly kind: 'greeting' | 'info' | 'iframe' | 'raw' | 'unknown' }
  | { readonly kind: 'session'; readonly id: string; readonly transport: string };

/** Undefined: the path is not below the base. */
export function sockJsPlace(url: string, base: string): SockJsPlace | undefined {
  if (!url.startsWith(base)) return undefined;
  const end = url.indexOf('?', base.length);
  const rest = url.slice(base.length, end < 0 ? undefined : end);
  if (rest === '' || rest === '/') return { kind: 'greeting' };
  if (!rest.startsWith('/')) return undefined;
  if (rest === '/info') return { kind: 'info' };
  if (rest === '/websocket') return { kind: 'raw' };
  if (/^\/iframe[0-9A-Za-z._-]*\.html$/.test(rest)) return { kind: 'iframe' };
  const [, id, transport] = sessionPattern.exec(rest) ?? [];
  return id === undefined || transport === undefined ? { kind: 'unknown' } : { kind: 'session', id, transport };
}

/** The name of the server in front means nothing. Names have no dots. */
const sessionPattern = /^\/[^/.]{1,64}\/([^/.]{1,128})\/([a-z_]+)$/;

/** Where a WebSocket handshake leads: `framed`, as SockJS does, or not. Undefined: nowhere. */
export function webSocketPlace(url: string, terms: SockJsTerms): { readonly framed: boolean; readonly path: string } | undefined {
  const place = sockJsPlace(url, terms.path);
  // The base itself is nothing to SockJS clients, and may be somebody else's.
  if (place === undefined || place.kind === 'greeting') return { framed: false, path: url };
  const framed = place.kind === 'session' && place.transport === 'websocket';
  return framed || place.kind === 'raw' ? { framed, path: sessionPath(url, terms) } : undefined;
}

/** With the client's query, but for what the SockJS client adds by itself. */
export function sessionPath(url: string, { asPath }: SockJsTerms): string {
  const start = url.indexOf('?');
  if (start < 0) return asPath;
  const kept = url
    .slice(start + 1)
    .split('&')
    .filter((parameter, index, all) => !isAdded(parameter, index === all.length - 1));
  return kept.length === 0 ? asPath : `${asPath}?${kept.join('&')}`;
}

/** The callback; and the time, which it puts last. */
function isAdded(parameter: string, last: boolean): boolean {
  return parameter.startsWith('c=') || (last && /^t=\d+$/.test(parameter));
}
