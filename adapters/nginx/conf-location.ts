/** Makes a route from a location of nginx that passes requests on. */
import type { FoundRoute, GatewayLimit, Remark } from '../conversion/gateway-route.ts';
import { basePathOf, targetOf } from './conf-target.ts';
import type { Directive } from './conf-file.ts';
import { told } from '../conversion/remark.ts';
import { option, type HttpNames } from './conf-http.ts';
import { authOf, emptyVariable, refusedVariable, type FoundAuth } from './conf-keys.ts';
import { bytesOf, msOf } from './measures.ts';
import type { Scope } from './scope.ts';

export interface LocationTerms {
  readonly gateway: URL;
  readonly hosts: readonly string[];
  readonly names: HttpNames;
}

export interface ReadLocation {
  readonly found: FoundRoute | undefined;
  readonly callers: FoundAuth['callers'];
  readonly remarks: readonly Remark[];
}

/** `directive` is the location, `scope` what holds in it. Its id is made from its path. */
export function readLocation({ args, place }: Directive, scope: Scope, { gateway, hosts, names }: LocationTerms): ReadLocation {
  const path = args.at(-1) ?? '';
  const modifier = args.length > 1 ? args[0] : '';
  const target = targetOf(scope, names, place);
  const { auth, callers } = authOf(scope, names);
  const limits = limitsOf(scope, names);
  const body = bodyBytes(scope, place);
  const remarks = [
    ...(modifier === '=' ? [told(place, `fits ${JSON.stringify(path)} alone; the route fits all that begins so`)] : []),
    ...target.remarks,
    ...limits.remarks,
    ...body.remarks,
    ...(auth.kind === 'jwt' ? [told(place, 'checks a JWT; where its keys come from is not taken over')] : []),
  ];
  if (target.backend === undefined) return { found: undefined, callers: undefined, remarks };
  const { base, stripPath } = target.exported ?? basePathOf(path, target.uri);
  const route = {
    id:
      path
        .replace(/[^A-Za-z0-9]+/g, '-')
        .replace(/^-|-$/g, '')
        .slice(0, 50) || 'all',
    gateway,
    hosts,
    path,
    eventsOnly: isEventsOnly(scope, names),
    backend: new URL(base, target.backend),
    stripPath,
    auth,
    limits: limits.limits,
    bodyBytes: body.bytes,
    connectMs: msOf(scope.value('proxy_connect_timeout') ?? '') ?? 60_000,
    readMs: msOf(scope.value('proxy_read_timeout') ?? '') ?? 60_000,
  };
  return { found: { route, webSockets: upgrades(scope) }, callers, remarks };
}

function upgrades(scope: Scope): boolean {
  return scope.all('proxy_set_header').some(({ args: [name = '', value = ''] }) => /^upgrade$/i.test(name) && value !== '');
}

/** As `foregate export nginx` says it: a map of method and media type, and a refusal of all others. */
function isEventsOnly(scope: Scope, { maps }: HttpNames): boolean {
  const asked = scope.own.flatMap((directive) => emptyVariable(directive) ?? []);
  return asked.some((variable) => maps.get(variable)?.source === '$request_method:$content_type');
}

function limitsOf(
  scope: Scope,
  { zones }: HttpNames,
): { readonly limits: readonly GatewayLimit[]; readonly remarks: readonly Remark[] } {
  const read = scope.all('limit_req').map(({ args, place }) => {
    const limit = zones.get(option(args, 'zone') ?? '')?.limit;
    const burst = Number(option(args, 'burst') ?? 0) + 1;
    if (limit === undefined) return { limits: [], remarks: [told(place, 'has a limit whose zone is not known')] };
    const isSame = burst === limit.count;
    const text = `lets ${burst} through at once; the limit is ${limit.count} in ${limit.windowSeconds} s`;
    return { limits: [limit], remarks: isSame ? [] : [told(place, text)] };
  });
  return { limits: read.flatMap(({ limits }) => limits), remarks: read.flatMap(({ remarks }) => remarks) };
}

/** The default of nginx, the least that the settings know, and what stands for no limit. */
const bodies = { default: 1_048_576, least: 1024, most: 1_073_741_824 };

function bodyBytes(scope: Scope, place: string): { readonly bytes: number; readonly remarks: readonly Remark[] } {
  const said = scope.value('client_max_body_size');
  const bytes = said === undefined ? bodies.default : bytesOf(said);
  if (bytes === undefined)
    return { bytes: bodies.default, remarks: [told(place, 'has a size of bodies that is not understood')] };
  if (bytes === 0) return { bytes: bodies.most, remarks: [told(place, 'lets bodies of any size through; taken for a gibibyte')] };
  return bytes < bodies.least
    ? { bytes: bodies.least, remarks: [told(place, `lets bodies of ${bytes} bytes through; taken for ${bodies.least}`)] }
    : { bytes, remarks: [] };
}

/** An `if` that refuses who has no key, or one of `foregate export nginx`. */
export function isKnownCondition(directive: Directive, { maps }: HttpNames): boolean {
  if (refusedVariable(directive) !== undefined) return true;
  const variable = emptyVariable(directive) ?? '';
  const isOwn = ['$request_uri', '$request_method:$content_type'].includes(maps.get(variable)?.source ?? '');
  return isOwn || /^\(\$args ~\* +\(\?:\^\|&\)/.test(directive.args.join(' '));
}
