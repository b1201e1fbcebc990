/**
 * Reads a Pushpin routes file (GRIP 7.1): one route a line, as Pushpin 1.36 to 2.0 understands it. A line that Pushpin would skip is
 * told and skipped, the rest still loads.
 */
import type { Finding } from './finding.ts';
import { readRouteLine, type LineFault, type Property, type Section } from './route-line.ts';

export interface RoutesFile {
  /** In the order of the file. */
  readonly routes: readonly PushpinRoute[];
  readonly findings: readonly Finding[];
}

export interface PushpinRoute {
  readonly line: number;
  /** As written; `*` for every host without routes of its own, empty for a route that only its id selects. */
  readonly host: string;
  /** Undefined: both. */
  readonly proto: 'http' | 'ws' | undefined;
  /** Only (not) over TLS; undefined: both. */
  readonly ssl: boolean | undefined;
  /** A prefix; empty: every path. */
  readonly pathBeg: string;
  readonly id: string | undefined;
  readonly sigIss: string | undefined;
  readonly sigKey: string | undefined;
  readonly prefix: string;
  /** In their order, of a name that stands twice the first holds; an empty value deletes the field. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly asHost: string | undefined;
  /** Characters; 0: none. */
  readonly pathRem: number;
  readonly replaceBeg: string | undefined;
  readonly debug: boolean;
  readonly aco: boolean;
  readonly jsonp: Jsonp;
  readonly origHeaders: boolean;
  readonly noGrip: boolean;
  readonly sockjs: string | undefined;
  readonly sockjsAsPath: string | undefined;
  readonly session: boolean;
  readonly logLevel: string | undefined;
  /** At least one, in the order in which they are tried. */
  readonly targets: readonly PushpinTarget[];
}

export interface Jsonp {
  readonly mode: 'extended' | 'basic' | undefined;
  readonly callback: string | undefined;
  readonly body: string | undefined;
  readonly defaultCallback: string | undefined;
  readonly defaultMethod: string | undefined;
}

export interface PushpinTarget {
  readonly place: TargetPlace;
  readonly overHttp: boolean;
  readonly oneEvent: boolean;
  readonly ssl: boolean;
  readonly host: string | undefined;
  readonly insecure: boolean;
  readonly trustConnectHost: boolean;
  readonly untrusted: boolean;
  readonly sub: readonly string[];
  readonly clientCert: string | undefined;
  readonly clientKey: string | undefined;
  readonly ipcFileMode: string | undefined;
}

export type TargetPlace =
  | { readonly kind: 'server'; /** An IPv6 address without brackets. */ readonly host: string; readonly port: number }
  | { readonly kind: 'test' }
  | { readonly kind: 'zhttp'; readonly spec: string };

/** Never throws. `file` is the name that findings get. */
export function readRoutesFile(text: string, file: string): RoutesFile {
  const routes: PushpinRoute[] = [];
  const findings: Finding[] = [];
  const conditions = new Map<string, number>();
  for (const [index, written] of text.split('\n').entries()) {
    const line = index + 1;
    const read = readRoute(written, line);
    if (read === undefined) continue;
    const fault = 'fault' in read ? read.fault : sameCondition(read.route, conditions);
    if (fault !== undefined || 'fault' in read) {
      findings.push({ file, line, option: '', verdict: 'refused', text: `The line is skipped: it ${fault ?? ''}.` });
      continue;
    }
    routes.push(read.route);
    findings.push(...read.unknown.map((name) => unknownProperty(file, line, read.route.sigKey === undefined ? name : '')));
  }
  return { routes, findings };
}

/** With a key in the line `name` is empty: a key with a comma and without quotes ends as the name of a property. */
function unknownProperty(file: string, line: number, name: string): Finding {
  const text = 'Not a property that Pushpin knows here; Pushpin ignores it too.';
  return { file, line, option: /^[a-z_]{1,40}$/.test(name) ? name : '', verdict: 'ignored', text };
}

/** Pushpin skips the second of two lines with the same condition; without host there is no condition. */
function sameCondition(route: PushpinRoute, seen: Map<string, number>): string | undefined {
  if (route.host === '') return undefined;
  const key = JSON.stringify([route.host, route.proto, route.ssl, route.pathBeg]);
  const first = seen.get(key);
  if (first === undefined) seen.set(key, route.line);
  return first === undefined ? undefined : `has the same condition as line ${first}`;
}

interface ReadRoute {
  readonly route: PushpinRoute;
  readonly unknown: readonly string[];
}

/** Undefined for a line without content. */
function readRoute(written: string, line: number): ReadRoute | LineFault | undefined {
  const sections = readRouteLine(written);
  if ('fault' in sections) return sections;
  const [condition, ...rest] = sections;
  if (condition === undefined) return undefined;
  if (rest.length === 0) return { fault: 'has no target' };
  const draft = newRoute(line, condition.name);
  const read = readProperties(draft, condition.properties, conditionProperties);
  if ('fault' in read) return read;
  const unknown = [...read.unknown];
  for (const [index, section] of rest.entries()) {
    const target = readTarget(section);
    // Not its text: a key with a space and without quotes ends as a target.
    if ('fault' in target) return { fault: `has a target (number ${index + 1}) ${target.fault}` };
    draft.targets.push(target.target);
    unknown.push(...target.unknown);
  }
  return { route: draft, unknown };
}

function readTarget({ name, properties }: Section): { target: PushpinTarget; unknown: readonly string[] } | LineFault {
  const place = readPlace(name);
  if ('fault' in place) return place;
  const target = newTarget(place);
  const read = readProperties(target, properties, targetProperties);
  return 'fault' in read ? read : { target, unknown: read.unknown };
}

function readPlace(name: string): TargetPlace | LineFault {
  if (name === 'test') return { kind: 'test' };
  const [, spec] = /^zhttp(?:req)?\/(.*)$/s.exec(name) ?? [];
  if (spec !== undefined) return { kind: 'zhttp', spec };
  const [, v6, plain, port = ''] = /^(?:\[([^\]]*)\]|([^:[]*)):(.*)$/s.exec(name) ?? [];
  const host = v6 ?? plain;
  if (host === undefined) return { fault: 'that is not host:port' };
  if (host === '') return { fault: 'without host' };
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535)
    return { fault: 'whose port is not a number from 1 to 65535' };
  return { kind: 'server', host, port: Number(port) };
}

/** Puts a property into the draft; gives what is wrong with its value. */
type Reader<Draft> = (draft: Draft, value: string) => string | undefined;
type Readers<Draft> = Readonly<Record<string, Reader<Draft>>>;

/** Of a property that stands twice the last one holds. */
function readProperties<Draft>(
  draft: Draft,
  properties: readonly Property[],
  readers: Readers<Draft>,
): { readonly unknown: readonly string[] } | LineFault {
  const unknown: string[] = [];
  for (const { name, value } of properties) {
    const reader = Object.hasOwn(readers, name) ? readers[name] : undefined;
    if (reader === undefined) unknown.push(name);
    const fault = reader?.(draft, value);
    if (fault !== undefined) return { fault };
  }
  return { unknown };
}

type Changeable<T> = { -readonly [Key in keyof T]: T[Key] };

interface RouteDraft extends Omit<Changeable<PushpinRoute>, 'headers' | 'jsonp' | 'targets'> {
  headers: (readonly [string, string])[];
  jsonp: Changeable<Jsonp>;
  targets: PushpinTarget[];
}

interface TargetDraft extends Omit<Changeable<PushpinTarget>, 'sub'> {
  sub: string[];
}

/** A property whose presence is all. */
function flag<D>(set: (draft: D) => void): Reader<D> {
  return (draft) => {
    set(draft);
    return undefined;
  };
}

/** A property that takes any text. */
function any<D>(set: (draft: D, value: string) => void): Reader<D> {
  return (draft, value) => {
    set(draft, value);
    return undefined;
  };
}

/** A property that takes some words only. */
function oneOf<D, Word extends string>(words: readonly Word[], fault: string, set: (draft: D, word: Word) => void): Reader<D> {
  return (draft, value) => {
    const word = words.find((known) => known === value);
    if (word === undefined) return fault;
    set(draft, word);
    return undefined;
  };
}

const conditionProperties: Readers<RouteDraft> = {
  proto: oneOf(['http', 'ws'], 'has a "proto" that is neither http nor ws', (draft, word) => (draft.proto = word)),
  ssl: oneOf(['yes', 'no'], 'has an "ssl" that is neither yes nor no', (draft, word) => (draft.ssl = word === 'yes')),
  path_beg: (draft, value) => {
    draft.pathBeg = value;
    return value === '' ? 'has an empty "path_beg"' : undefined;
  },
  id: any((draft, value) => (draft.id = value === '' ? undefined : value)),
  sig_iss: any((draft, value) => (draft.sigIss = value)),
  sig_key: any((draft, value) => (draft.sigKey = value)),
  prefix: any((draft, value) => (draft.prefix = value)),
  header: (draft, value) => {
    const at = value.indexOf(':');
    draft.headers.push([value.slice(0, at).trim(), value.slice(at + 1).trim()]);
    return at < 1 ? 'has a "header" that is not name:value' : undefined;
  },
  as_host: any((draft, value) => (draft.asHost = value === '' ? undefined : value)),
  // Pushpin takes what is no number for 0.
  path_rem: any((draft, value) => (draft.pathRem = /^\d{1,6}$/.test(value) ? Number(value) : 0)),
  replace_beg: any((draft, value) => (draft.replaceBeg = value)),
  debug: flag((draft) => (draft.debug = true)),
  aco: flag((draft) => (draft.aco = true)),
  jsonp_mode: oneOf(
    ['extended', 'basic'],
    'has a "jsonp_mode" that is neither extended nor basic',
    ({ jsonp }, word) => (jsonp.mode = word),
  ),
  jsonp_cb: any(({ jsonp }, value) => (jsonp.callback = value)),
  jsonp_body: any(({ jsonp }, value) => (jsonp.body = value)),
  jsonp_defcb: any(({ jsonp }, value) => (jsonp.defaultCallback = value)),
  jsonp_defmethod: any(({ jsonp }, value) => (jsonp.defaultMethod = value)),
  orig_headers: flag((draft) => (draft.origHeaders = true)),
  no_grip: flag((draft) => (draft.noGrip = true)),
  sockjs: any((draft, value) => (draft.sockjs = value === '' ? undefined : value)),
  sockjs_as_path: any((draft, value) => (draft.sockjsAsPath = value === '' ? undefined : value)),
  session: flag((draft) => (draft.session = true)),
  log_level: any((draft, value) => (draft.logLevel = value)),
};

const targetProperties: Readers<TargetDraft> = {
  over_http: flag((draft) => (draft.overHttp = true)),
  one_event: flag((draft) => (draft.oneEvent = true)),
  ssl: flag((draft) => (draft.ssl = true)),
  host: any((draft, value) => (draft.host = value === '' ? undefined : value)),
  insecure: flag((draft) => (draft.insecure = true)),
  trust_connect_host: flag((draft) => (draft.trustConnectHost = true)),
  untrusted: flag((draft) => (draft.untrusted = true)),
  sub: any((draft, value) => {
    if (value !== '') draft.sub.push(value);
  }),
  client_cert: any((draft, value) => (draft.clientCert = value === '' ? undefined : value)),
  client_key: any((draft, value) => (draft.clientKey = value === '' ? undefined : value)),
  ipc_file_mode: any((draft, value) => (draft.ipcFileMode = value)),
};

/** Every property of a condition and of a target, for the documentation to be complete. */
export const propertyNames = {
  condition: Object.keys(conditionProperties),
  target: Object.keys(targetProperties),
} as const;

function newRoute(line: number, host: string): RouteDraft {
  return {
    line,
    host,
    proto: undefined,
    ssl: undefined,
    pathBeg: '',
    id: undefined,
    sigIss: undefined,
    sigKey: undefined,
    prefix: '',
    headers: [],
    asHost: undefined,
    pathRem: 0,
    replaceBeg: undefined,
    debug: false,
    aco: false,
    jsonp: { mode: undefined, callback: undefined, body: undefined, defaultCallback: undefined, defaultMethod: undefined },
    origHeaders: false,
    noGrip: false,
    sockjs: undefined,
    sockjsAsPath: undefined,
    session: false,
    logLevel: undefined,
    targets: [],
  };
}

function newTarget(place: TargetPlace): TargetDraft {
  return {
    place,
    overHttp: false,
    oneEvent: false,
    ssl: false,
    host: undefined,
    insecure: false,
    trustConnectHost: false,
    untrusted: false,
    sub: [],
    clientCert: undefined,
    clientKey: undefined,
    ipcFileMode: undefined,
  };
}
