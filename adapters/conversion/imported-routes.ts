/** Makes routes of a `foregate.yaml` from what was read of a gateway: the reverse of `gateway-model.ts`. */
import type { GatewayAuth, GatewayCaller, GatewayRoute, ImportedModel } from './gateway-route.ts';
import { present, presentOrNone, type Raw } from './present.ts';

export interface ImportOptions {
  /** The adapter of the routes. */
  readonly adapter: string;
  /** The field in which such a gateway usually looks for keys. */
  readonly credentialHeader: string | undefined;
  /** Whether keys of callers are copied. */
  readonly withSecrets: boolean;
}

/**
 * The settings, as plain data without what has its default. Routes that passed WebSockets come first; among themselves all keep
 * their order. Callers stand with the first route, since a gateway has them once.
 */
export function importedSettings({ routes, callers }: ImportedModel, options: ImportOptions): Raw {
  const ordered = routes.toSorted((a, b) => Number(b.webSockets) - Number(a.webSockets));
  const ids = new Set<string>();
  const made = ordered.flatMap(({ route }) => hostsOf(route).map((host) => ({ route, host, id: freeId(fitId(route.id), ids) })));
  return { routes: made.map((one, index) => routeOf(one, index === 0 ? callers : [], options)) };
}

/** A route here has one host. */
function hostsOf({ hosts }: GatewayRoute): readonly (string | undefined)[] {
  return hosts.length === 0 ? [undefined] : hosts;
}

/** Leaves room for a number at its end. */
const idLengthMax = 56;

/** As `id` of a route may be. */
function fitId(name: string): string {
  const fit = name
    .replace(/[^A-Za-z0-9._-]+$/, '')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 64);
  return fit === '' ? 'route' : fit;
}

/** The same, or with the first number that makes it one of its own; it is put to those that are taken. */
function freeId(wanted: string, taken: Set<string>): string {
  let id = wanted;
  for (let number = 2; taken.has(id); number += 1) id = `${wanted.slice(0, idLengthMax)}-${number}`;
  taken.add(id);
  return id;
}

interface Made {
  readonly id: string;
  readonly host: string | undefined;
  readonly route: GatewayRoute;
}

function routeOf({ id, host, route }: Made, callers: readonly GatewayCaller[], options: ImportOptions): Raw {
  const { path, eventsOnly, gateway } = route;
  return present({
    id,
    match: presentOrNone({
      host,
      path: path === '/' ? undefined : path,
      transports: eventsOnly ? ['websocket'] : undefined,
    }),
    targets: [gateway.origin],
    adapter: { use: options.adapter, gateway: gatewaySettings(route, callers, options) },
  });
}

function gatewaySettings(route: GatewayRoute, callers: readonly GatewayCaller[], options: ImportOptions): Raw {
  const { backend, stripPath, auth, limits, bodyBytes, connectMs, readMs } = route;
  return present({
    backend: backend.href.replace(/\/$/, ''),
    ...authSettings(auth, options.credentialHeader),
    limits:
      limits.length === 0
        ? undefined
        : limits.map(({ count, windowSeconds, by }) => ({ count, window: `${windowSeconds}s`, by })),
    bodyBytes: Number.isFinite(bodyBytes) ? bodyBytes : undefined,
    connectTimeout: duration(connectMs),
    timeout: duration(readMs),
    stripPath: stripPath || undefined,
    callers: callers.length === 0 ? undefined : callers.map((caller) => callerSettings(caller, options.withSecrets)),
  });
}

function authSettings(auth: GatewayAuth, usual: string | undefined): Raw {
  if (auth.kind === 'none') return { auth: 'none' };
  const hideCredential = auth.hidden ? undefined : false;
  if (auth.kind === 'jwt') {
    const { issuer, audience, jwks } = auth;
    return { auth: 'jwt', jwt: presentOrNone({ issuer, audience, jwks }), hideCredential };
  }
  const { in: where, name } = auth.place;
  const isUsual = where === 'header' && name.toLowerCase() === usual?.toLowerCase();
  return { credential: isUsual ? undefined : { [where]: name }, hideCredential };
}

function callerSettings({ name, key }: GatewayCaller, withSecrets: boolean): Raw {
  return present({ name, key: withSecrets ? key : undefined });
}

function duration(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
