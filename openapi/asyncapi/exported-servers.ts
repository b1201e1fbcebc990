/** The servers of an AsyncAPI document: how clients reach the ports of Foregate. */
import type { RouteSettings, Settings } from '../../gateway/core/settings.ts';
import type { Mapping } from '../../gateway/core/mapping.ts';

/** Scheme and host under which clients come. */
export interface Origin {
  readonly secure: boolean;
  /** With its port, unless it is the usual one of the scheme. */
  readonly host: string;
}

/** Those of the ports. A port on every address is reached under `localhost`; Unix sockets and ports of chance have no address. */
export function listenOrigins(listen: Settings['listen']): Origin[] {
  return listen.flatMap(({ host, port, socket, tls }) => {
    if (socket !== undefined || port === 0) return [];
    const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
    return [{ secure: tls !== undefined, host: withPort(name.includes(':') ? `[${name}]` : name, port, tls !== undefined) }];
  });
}

/** Of `https://chat.example.com`, or `wss://`, which is the same place. */
export function urlOrigin({ protocol, host }: URL): Origin {
  return { secure: protocol === 'https:' || protocol === 'wss:', host };
}

function withPort(name: string, port: number, secure: boolean): string {
  return port === (secure ? 443 : 80) ? name : `${name}:${port}`;
}

/** The servers of all routes, each once, under names that follow from them. */
export class Servers {
  readonly #origins: readonly Origin[];
  readonly #named = new Map<string, { readonly name: string; readonly server: Mapping }>();

  constructor(origins: readonly Origin[]) {
    this.#origins = origins;
  }

  /** The names of the servers where a route is; none if it cannot be reached there. */
  of({ match }: RouteSettings): string[] {
    const origins = this.#origins.filter(({ secure }) => match.tls === undefined || match.tls === secure);
    const hosts = origins.map((origin) => (match.host === undefined ? origin : atHost(origin, match.host)));
    const protocols = [
      ...(match.transports.includes('websocket') ? ['ws'] : []),
      ...(match.transports.includes('http') ? ['http'] : []),
    ];
    return [...new Set(protocols.flatMap((protocol) => hosts.map((origin) => this.#name(protocol, origin))))];
  }

  /** `servers` of the document. */
  all(): Mapping {
    return Object.fromEntries([...this.#named.values()].map(({ name, server }) => [name, server]));
  }

  #name(plain: string, { secure, host }: Origin): string {
    const protocol = secure ? `${plain}s` : plain;
    const key = `${protocol}://${host}`;
    const known = this.#named.get(key);
    if (known !== undefined) return known.name;
    const before = [...this.#named.values()].filter(({ server }) => server['protocol'] === protocol).length;
    const name = before === 0 ? protocol : `${protocol}-${before + 1}`;
    this.#named.set(key, { name, server: { host, protocol, ...variables(host) } });
    return name;
  }
}

/** The place of the same port for `match.host`; an origin that fits it already stays. */
function atHost(origin: Origin, wanted: string): Origin {
  const [, name = '', port = ''] = /^(.*?)(:\d+)?$/.exec(origin.host) ?? [];
  const suffix = wanted.startsWith('*.') ? wanted.slice(1) : undefined;
  if (suffix === undefined) return { ...origin, host: wanted + port };
  return name.endsWith(suffix) ? origin : { ...origin, host: `{name}${suffix}${port}` };
}

function variables(host: string): Mapping {
  return host.includes('{name}') ? { variables: { name: { description: 'Any name below the domain.' } } } : {};
}
