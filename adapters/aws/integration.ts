/** Where an operation leads: `x-amazon-apigateway-integration`, with the path of the operation, as the beginning of a path. */
import type { Raw } from '../conversion/present.ts';
import { isRaw, rawAt, textAt } from './read-document.ts';

/** How long API Gateway waits unless told. */
const usualMs = 29_000;
/** More than any account may have. */
const mostMs = 900_000;
/** It does not say how long it tries to connect. */
export const defaultConnectMs = 2000;

export interface Integration {
  /** The beginning of the path, up to the first parameter. */
  readonly path: string;
  readonly backend: URL;
  readonly stripPath: boolean;
  readonly readMs: number;
  /** The backend gets something else in place of the key. */
  readonly hidesKey: boolean;
}

export interface ReadIntegration {
  /** Undefined: no request gets anywhere that Foregate could name. */
  readonly taken: Integration | undefined;
  readonly remarks: readonly string[];
}

const understood = [
  'type',
  'httpMethod',
  'uri',
  'connectionType',
  'passthroughBehavior',
  'payloadFormatVersion',
  'timeoutInMillis',
  'requestParameters',
  'responses',
];

export function integrationOf(path: string, integration: unknown): ReadIntegration {
  if (!isRaw(integration)) return none(`${path} has no integration`);
  const type = textAt(integration, 'type')?.toLowerCase();
  if (type !== 'http' && type !== 'http_proxy')
    return none(`${path} leads to ${type ?? 'something unknown'}, not to an address; give it a backend by hand if it is wanted`);
  if (!/^\/[\x21\x24-\x3b\x3d\x40-\x7e]*$/.test(path)) return none(`${JSON.stringify(path)} is no path`);
  const target = targetOf(path, integration);
  if (typeof target === 'string') return none(target);
  const parameters = rawAt(integration, 'requestParameters');
  return {
    taken: { ...target, readMs: readMs(integration), hidesKey: Object.keys(parameters).some(isKeyField) },
    remarks: [...wider(path, target.path), ...otherwise(integration, type), ...unusual(parameters)],
  };
}

function none(remark: string): ReadIntegration {
  return { taken: undefined, remarks: [remark] };
}

function readMs({ timeoutInMillis }: Raw): number {
  return typeof timeoutInMillis === 'number' &&
    Number.isInteger(timeoutInMillis) &&
    timeoutInMillis > 0 &&
    timeoutInMillis <= mostMs
    ? timeoutInMillis
    : usualMs;
}

/** What the operation and its URI have in common at the end is the rest of a path behind a beginning; or why there is none. */
function targetOf(path: string, integration: Raw): Pick<Integration, 'path' | 'backend' | 'stripPath'> | string {
  const uri = textAt(integration, 'uri') ?? '';
  const [, prefix = '', rest = ''] = /^([^{]*)(.*)$/s.exec(path) ?? [];
  const ending = mapped(rest, rawAt(integration, 'requestParameters'));
  const base = uri.endsWith(ending) ? uri.slice(0, uri.length - ending.length) : undefined;
  if (base === undefined || (rest !== '' && !base.endsWith('/')))
    return `${path} leads to ${shown(uri)}, which does not end as the path does; such a route cannot be said`;
  if (!/^https?:\/\/[A-Za-z0-9._:[\]-]+(?:\/[\x21\x24-\x3b\x3d\x40-\x7a\x7c\x7e]*)?$/.test(base) || !URL.canParse(base))
    return `${path} leads to ${shown(uri)}, which is no plain address`;
  return split(prefix, base);
}

/** Names and passwords in front of a host, and what follows a `?`, may be secrets. */
function shown(uri: string): string {
  return uri
    .replace(/\/\/[^/]*@/, '//…@')
    .replace(/\?.*$/s, '?…')
    .slice(0, 200);
}

/** `{proxy+}` is `{proxy}` in a URI, or the parameter of the URI that is made from it. */
function mapped(rest: string, parameters: Raw): string {
  const names = new Map<string, string>();
  for (const [to, from] of Object.entries(parameters)) {
    const [, source] = /^method\.request\.path\.(.+)$/.exec(String(from)) ?? [];
    const [, target] = /^integration\.request\.path\.(.+)$/.exec(to) ?? [];
    if (source !== undefined && target !== undefined) names.set(source, target);
  }
  return rest.replace(/\{([^{}+]+)\+?\}/g, (_, name: string) => `{${names.get(name) ?? name}}`);
}

function split(path: string, base: string): Pick<Integration, 'path' | 'backend' | 'stripPath'> {
  const url = new URL(base);
  const kept = url.pathname.endsWith(path);
  url.pathname = (kept ? url.pathname.slice(0, url.pathname.length - path.length) : url.pathname).replace(/\/+$/, '');
  return { path, backend: url, stripPath: !kept };
}

/** What begins so and is more than the operation says is refused by AWS as before. */
function wider(path: string, prefix: string): string[] {
  const isWhole = /^[^{]*(?:\{[^{}]+\+\})?$/.test(path);
  return isWhole ? [] : [`${path} is taken for all below ${prefix}; AWS refuses what is not there`];
}

function otherwise(integration: Raw, type: string): string[] {
  const odd = Object.keys(integration).filter((name) => !understood.includes(name));
  const linked =
    textAt(integration, 'connectionType') === 'VPC_LINK' ? ['leads through a VPC link; the address is that inside'] : [];
  const changed =
    type === 'http' ? ['is of the type "http": what AWS changes in requests and replies there is not taken over'] : [];
  return [...linked, ...changed, ...odd.map((name) => `"${name}" of the integration is not taken over`)];
}

function unusual(parameters: Raw): string[] {
  const odd = Object.keys(parameters).filter((name) => !isKeyField(name) && !name.startsWith('integration.request.path.'));
  return odd.map((name) => `the mapping of ${name} is not taken over`);
}

function isKeyField(name: string): boolean {
  return name.toLowerCase() === 'integration.request.header.x-api-key';
}
