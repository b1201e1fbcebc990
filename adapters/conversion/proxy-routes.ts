/** What the exports for nginx, HAProxy and Caddy have in common: where they listen, and what none of them can say. */
import { isIP } from 'node:net';
import type { GatewayCaller, GatewayModel, GatewayRoute, Remark } from './gateway-route.ts';
import { refused } from './remark.ts';

/** One address that the program listens at, with its routes in the order in which they are tried. */
export interface ProxyListener {
  /** With brackets around an IPv6 address. */
  readonly host: string;
  readonly port: number;
  readonly routes: readonly GatewayRoute[];
}

/** The media type of requests with events. */
export const eventsType = 'application/websocket-events';

export const firstLine = (name: string): string =>
  `# Written by "foregate export ${name}", which replaces it. Change foregate.yaml and export again.`;

export function proxyListeners({ routes }: GatewayModel): readonly ProxyListener[] {
  const found = new Map<string, GatewayRoute[]>();
  for (const route of routes) found.set(route.gateway.host, [...(found.get(route.gateway.host) ?? []), route]);
  return [...found.values()].map((own) => ({
    host: (own[0] as GatewayRoute).gateway.hostname, // A list is made with its first.
    port: portOf((own[0] as GatewayRoute).gateway),
    routes: own,
  }));
}

/** The port, also where it is that of the scheme. */
export function portOf({ port, protocol }: URL): number {
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 443 : 80;
}

/** The path in front of that of the request, without a `/` at its end. */
export function basePath({ backend }: GatewayRoute): string {
  return backend.pathname.replace(/\/+$/, '');
}

/** For regular expressions of PCRE and of Go: every character but letters and digits by its number. */
export function literally(text: string): string {
  return text.replace(/[^A-Za-z0-9]/g, (character) => `\\x${hexOf(character)}`);
}

export function hexOf(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(2, '0');
}

/** One line for each caller: `line` with the key, or a comment in place of a key that is not to be written. */
export function keyLines(callers: readonly GatewayCaller[], line: (key: string, name: string) => string): string {
  const lines = callers.map(({ name, key }) => (key === undefined ? `# ${line('KEY', name)}` : line(key, name)));
  return lines.map((one) => `${one}\n`).join('');
}

/** What none of the three can do, or must not be let near their configuration. */
export function proxyRemarks({ routes, callers, trusted }: GatewayModel): readonly Remark[] {
  return [
    ...routes.flatMap((route) => reasons(route).map((text) => refused(route.id, text))),
    ...samePort(routes),
    ...callers.flatMap(keyRemarks),
    ...sameKeys(callers),
    ...trusted
      .filter((address) => !isRange(address))
      .map((address) => refused(JSON.stringify(address), 'is not an address or a range')),
  ];
}

function reasons(route: GatewayRoute): readonly string[] {
  const { gateway, auth, limits, path, hosts, id, backend } = route;
  const isKnown = auth.kind !== 'none';
  return [
    ...(gateway.protocol === 'http:' ? [] : ['reaches the gateway by TLS, for which this export has no certificate']),
    ...(auth.kind === 'jwt' ? ['asks for a JWT, which this program does not check without a module'] : []),
    ...(isKnown || limits.every(({ by }) => by !== 'caller') ? [] : ['limits callers, and with "auth: none" none is known']),
    ...(isPlainPath(path) ? [] : [`has a path that cannot be matched safely: ${JSON.stringify(path)}`]),
    ...(/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(id) ? [] : ['has an id that cannot be written']),
    ...hosts.filter((host) => !isHost(host)).map((host) => `has a host that cannot be written: ${JSON.stringify(host)}`),
    ...(isPlainPath(backend.pathname) ? [] : ['has a backend whose path cannot be written']),
    ...(/^[A-Za-z0-9._:[\]-]+$/.test(backend.host) ? [] : ['has a backend whose host cannot be written']),
    ...(/^[A-Za-z0-9._:[\]-]+$/.test(gateway.host) ? [] : ['has a target whose host cannot be written']),
    ...(auth.kind === 'key' && !/^[A-Za-z0-9_-]+$/.test(auth.place.name)
      ? [`looks for the key in ${JSON.stringify(auth.place.name)}; only letters, digits, "-" and "_" can be written`]
      : []),
    ...(auth.kind === 'key' && auth.place.in === 'header' && auth.place.name.includes('_')
      ? ['looks for the key in a field with "_", which such programs drop or take for "-"']
      : []),
  ];
}

/**
 * Visible ASCII without what ends a path or what a program may read as something else: percent-encoding (some compare paths
 * decoded) and dot segments (some resolve them first).
 */
function isPlainPath(path: string): boolean {
  return /^\/[\x21\x22\x24\x26-\x3e\x40-\x7e]*$/.test(path) && !/\/\.{1,2}(?:\/|$)/.test(path);
}

function isHost(host: string): boolean {
  return /^(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host);
}

/** Two names of one address are two listeners at one port, and requests would come to either. */
function samePort(routes: readonly GatewayRoute[]): readonly Remark[] {
  const names = new Map<number, string>();
  return routes.flatMap(({ id, gateway }) => {
    const port = portOf(gateway);
    const other = names.get(port) ?? gateway.hostname;
    names.set(port, other);
    return other === gateway.hostname
      ? []
      : [refused(id, `reaches port ${port} by another name than ${other}; write one of them`)];
  });
}

/** A key that is not visible ASCII is read differently by clients; a `#` begins a comment. */
function keyRemarks({ name, key }: GatewayCaller): readonly Remark[] {
  const isName = /^[A-Za-z0-9._-]{1,100}$/.test(name);
  const isKey = key === undefined || /^[\x21\x22\x24-\x7e][\x21-\x7e]*$/.test(key);
  return [
    ...(isName ? [] : [refused('a caller', 'has a name that cannot be written')]),
    ...(isKey
      ? []
      : [refused(isName ? name : 'a caller', 'has a key with other characters than visible ASCII, or "#" in front')]),
  ];
}

function sameKeys(callers: readonly GatewayCaller[]): readonly Remark[] {
  const known = callers.flatMap(({ key }) => (key === undefined ? [] : [key]));
  return new Set(known).size < known.length ? [refused('callers', 'two of them have the same key')] : [];
}

function isRange(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  const version = isIP(address);
  if (version === 0 || more.length > 0 || address.includes('%')) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}
