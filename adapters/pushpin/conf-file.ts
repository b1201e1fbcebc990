/**
 * Reads `pushpin.conf` (GRIP 7.2) into typed values with Pushpin's defaults, and tells of every option in it what becomes of it.
 * Nothing here touches a file: the caller gives the text, and another one for `include`.
 */
import { posix } from 'node:path';
import { confOptions, isInternalOption } from './conf-options.ts';
import { withFaults, type Finding } from './finding.ts';
import { readIni, type IniEntry } from './ini.ts';

export interface ConfFile {
  readonly conf: PushpinConf;
  /** In the order of the file. */
  readonly findings: readonly Finding[];
  /** Where an option stands; 0: nowhere in the file. */
  lineOf(option: string): number;
}

export interface Address {
  /** Undefined: all addresses. */
  readonly host: string | undefined;
  readonly port: number;
}

export type ForwardedProto = 'both' | 'x-forwarded-proto' | 'none';

/** In whatever order it is written, the chain is cut first. */
export interface ForwardedFor {
  /** Undefined: nothing is cut off. */
  readonly keep: number | undefined;
  readonly append: boolean;
}

/** A Unix socket for clients. */
export interface LocalPort {
  readonly path: string;
  /** As `chmod` has it: `660`. */
  readonly mode: string | undefined;
}

/** Times in the unit of the name; paths as written, with `{rundir}` and the like put in. */
export interface PushpinConf {
  readonly httpPort: Address | undefined;
  readonly httpsPorts: readonly Address[];
  readonly localPorts: readonly LocalPort[];
  /** 0 error, 1 warn, 2 info, 3 and more debug. */
  readonly logLevel: number;
  readonly clientBufferBytes: number;
  readonly clientMaxconn: number;
  readonly routesFile: string;
  readonly debug: boolean;
  readonly autoCrossOrigin: boolean;
  readonly acceptXForwardedProtocol: boolean;
  readonly setXForwardedProtocol: ForwardedProto;
  readonly xForwardedFor: ForwardedFor;
  /** For a gateway in front. */
  readonly xForwardedForTrusted: ForwardedFor;
  readonly acceptPushpinRoute: boolean;
  readonly sockJsUrl: string;
  /** Empty: none. */
  readonly cdnLoop: string;
  readonly upstreamKey: string;
  readonly sigIss: string;
  readonly sigKey: string;
  readonly pushInHttpAddr: string;
  /** With `port_offset` added. */
  readonly pushInHttpPort: number;
  readonly pushInHttpBodyBytes: number;
  /** Sockets of ZeroMQ, with `port_offset` added. */
  readonly pushInSpec: readonly string[];
  readonly pushInSubSpecs: readonly string[];
  readonly pushInSubConnect: boolean;
  readonly commandSpec: readonly string[];
  readonly messageWaitMs: number;
  readonly idCacheSeconds: number;
  readonly connectionSubscriptionMax: number;
  readonly subscriptionLingerSeconds: number;
  readonly updateOnFirstSubscription: boolean;
  readonly proxyMetrics: MetricsConf;
  readonly handlerMetrics: MetricsConf;
}

/** Where a process of Pushpin shows its metrics; no address: nowhere. */
export interface MetricsConf {
  readonly address: Address | undefined;
  readonly prefix: string;
}

export interface ConfTerms {
  /** The name that findings get. */
  readonly file: string;
  /** The text of a file named by `include`, as written there with `{libdir}` put in; undefined if there is none. */
  readonly include: (path: string) => string | undefined;
}

const defaultLibdir = '/usr/lib/pushpin';

/** Never throws, unless `include` does. */
export function readConfFile(text: string, { file, include }: ConfTerms): ConfFile {
  const { entries, strange } = readIni(text);
  const own = byName(entries);
  const base = readBase(own, file, include);
  const options = new Options(file, new Map([...base.entries, ...own]));
  const conf = confOf(options);
  const findings: Finding[] = [
    ...strange.map((line) => found({ file, line, option: '' }, 'ignored', 'Neither a section nor an option.')),
    ...entries.map((entry) => optionFinding(file, entry, own)),
  ];
  return {
    conf,
    findings: [...base.findings, ...withFaults(findings, options.faults)],
    lineOf: (option) => own.get(option)?.line ?? 0,
  };
}

type Entries = ReadonlyMap<string, IniEntry>;

/** Of an option that stands twice the last one holds. */
function byName(entries: readonly IniEntry[]): Entries {
  return new Map(entries.map((entry) => [entry.name, entry]));
}

/** What the file named by `include` says. */
function readBase(own: Entries, file: string, include: ConfTerms['include']): { entries: Entries; findings: Finding[] } {
  const named = own.get('global/include');
  const path = named === undefined ? '' : includePath(new Options(file, own).text('global/include', ''), own);
  if (named === undefined || path === '') return { entries: new Map(), findings: [] };
  const text = include(path);
  if (text === undefined) {
    const place = { file, line: named.line, option: 'global/include' };
    return {
      entries: new Map(),
      findings: [found(place, 'ignored', `There is no ${path} to read; mostly it names sockets only.`)],
    };
  }
  const { entries } = readIni(text);
  const telling = entries.filter(({ name }) => !isInternalOption(name) && !own.has(name));
  return { entries: byName(entries), findings: telling.map((entry) => optionFinding(path, entry, byName(entries))) };
}

/** Pushpin's own base file may be named without its folder. */
function includePath(written: string, own: Entries): string {
  return written === 'internal.conf' ? posix.join(own.get('global/libdir')?.values[0] ?? defaultLibdir, written) : written;
}

function optionFinding(file: string, entry: IniEntry, all: Entries): Finding {
  const place = { file, line: entry.line, option: entry.name };
  const last = all.get(entry.name)?.line ?? entry.line;
  if (last !== entry.line) return found(place, 'ignored', `Stands again in line ${last}, which holds.`);
  const known = confOptions.find(({ name }) => name === entry.name);
  if (known === undefined)
    return found(
      place,
      'ignored',
      isInternalOption(entry.name) ? "Between Pushpin's own processes." : 'Not an option known of Pushpin.',
    );
  const harmless = known.harmless?.includes(entry.values.join(',').toLowerCase());
  if (harmless === true)
    return found(place, 'ignored', entry.values.join('') === '' ? 'Not used.' : 'With this value nothing is missing.');
  return found(place, known.verdict, known.text);
}

function found(place: Pick<Finding, 'file' | 'line' | 'option'>, verdict: Finding['verdict'], text: string): Finding {
  return { ...place, verdict, text };
}

/** Reads options as the types they have, and keeps account of those that have another. */
class Options {
  readonly faults: Finding[] = [];
  readonly #file: string;
  readonly #entries: Entries;

  constructor(file: string, entries: Entries) {
    this.#file = file;
    this.#entries = entries;
  }

  text(name: string, fallback: string): string {
    return this.#values(name)?.join(',') ?? fallback;
  }

  /** Names of sockets: `tcp://127.0.0.1:5560`. Pushpin's offset is added to the ports of all. */
  specs(name: string): readonly string[] {
    const offset = this.count('global/port_offset', 0);
    const shifted = (spec: string): string =>
      spec.replace(/^(tcp:\/\/.+:)(\d{1,5})$/, (_, place: string, port: string) => `${place}${Number(port) + offset}`);
    return (this.#values(name) ?? []).filter((spec) => spec !== '').map(shifted);
  }

  flag(name: string, fallback: boolean): boolean {
    const value = this.#values(name)?.join(',').toLowerCase();
    return value === undefined ? fallback : value !== '' && value !== '0' && value !== 'false';
  }

  /** Not negative, below 2 to the 31st. */
  count(name: string, fallback: number): number {
    const value = this.#values(name)?.join(',') ?? '';
    if (/^\d{1,10}$/.test(value) && Number(value) < 2 ** 31) return Number(value);
    if (value !== '') this.#fault(name, `Not a whole number; ${fallback} is taken.`);
    return fallback;
  }

  /** Undefined for none. */
  address(name: string, fallback: string): Address | undefined {
    const written = this.text(name, fallback);
    const address = addressOf(written);
    if (address === undefined && written !== '')
      this.#fault(name, `Not a port, nor an address and a port: ${JSON.stringify(written)}.`);
    return address;
  }

  /** The rules of `X-Forwarded-For`; Pushpin passes over what it does not know. */
  chain(name: string): ForwardedFor {
    let keep: number | undefined;
    let append = false;
    for (const rule of (this.#values(name) ?? []).map((value) => value.trim())) {
      const [, kept] = /^truncate:(\d{1,9})$/.exec(rule) ?? [];
      if (kept !== undefined) keep = Number(kept);
      else if (rule === 'append') append = true;
      else if (rule !== '') this.#fault(name, `Not a rule, so Pushpin passes over it: ${JSON.stringify(rule)}.`);
    }
    return { keep, append };
  }

  /** A list; what is none is told and left out. */
  addresses(name: string): Address[] {
    return this.#list(name).flatMap((written) => {
      const address = addressOf(written);
      if (address !== undefined) return [address];
      this.#fault(name, `Not a port, nor an address and a port: ${JSON.stringify(written)}.`);
      return [];
    });
  }

  /** A list of paths, each with `?mode=660` and the like behind it. */
  localPorts(name: string): LocalPort[] {
    return this.#list(name).map((written) => {
      const [path = '', query] = written.split('?', 2);
      const terms = new URLSearchParams(query);
      const mode = terms.get('mode') ?? undefined;
      const sound = mode === undefined || /^0?[0-7]{3}$/.test(mode);
      if (!sound) this.#fault(name, `Not a mode: ${JSON.stringify(mode)}. Owner and group alone may connect to ${path}.`);
      if (terms.has('user') || terms.has('group'))
        this.#fault(name, `Foregate does not give ${path} to another user or group: start it as the one that is to have it.`);
      return { path: decoded(path), mode: sound ? mode : undefined };
    });
  }

  #list(name: string): string[] {
    return (this.#values(name) ?? []).map((value) => value.trim()).filter((value) => value !== '');
  }

  #values(name: string): readonly string[] | undefined {
    return this.#entries.get(name)?.values.map((value) => this.#filledIn(value));
  }

  #filledIn(value: string): string {
    return value.replace(/\{(rundir|libdir|ipc_prefix)\}/g, (_, name: string) => {
      const given = this.#entries.get(`global/${name}`)?.values[0];
      return given ?? defaultPlaces[name] ?? '';
    });
  }

  #fault(option: string, text: string): void {
    this.faults.push({ file: this.#file, line: this.#entries.get(option)?.line ?? 0, option, verdict: 'refused', text });
  }
}

const defaultPlaces: Readonly<Record<string, string>> = { rundir: 'run', libdir: defaultLibdir, ipc_prefix: 'pushpin-' };

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function addressOf(written: string): Address | undefined {
  const [, host, port = ''] = /^(?:(.+):)?(\d{1,5})$/.exec(written) ?? [];
  if (port === '' || Number(port) < 1 || Number(port) > 65_535) return undefined;
  return { host: host?.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}

function confOf(options: Options): PushpinConf {
  return {
    httpPort: options.address('runner/http_port', '7999'),
    httpsPorts: options.addresses('runner/https_ports'),
    localPorts: options.localPorts('runner/local_ports'),
    logLevel: options.count('runner/log_level', 2),
    clientBufferBytes: options.count('runner/client_buffer_size', 8192),
    clientMaxconn: options.count('runner/client_maxconn', 50_000),
    ...proxyConf(options),
    ...handlerConf(options),
  };
}

function proxyConf(options: Options) {
  return {
    routesFile: options.text('proxy/routesfile', 'routes'),
    debug: options.flag('proxy/debug', false),
    autoCrossOrigin: options.flag('proxy/auto_cross_origin', false),
    acceptXForwardedProtocol: options.flag('proxy/accept_x_forwarded_protocol', false),
    setXForwardedProtocol: forwardedProto(options),
    xForwardedFor: options.chain('proxy/x_forwarded_for'),
    xForwardedForTrusted: options.chain('proxy/x_forwarded_for_trusted'),
    acceptPushpinRoute: options.flag('proxy/accept_pushpin_route', false),
    sockJsUrl: options.text('proxy/sockjs_url', ''),
    cdnLoop: options.text('proxy/cdn_loop', ''),
    upstreamKey: options.text('proxy/upstream_key', ''),
    sigIss: options.text('proxy/sig_iss', 'pushpin'),
    sigKey: options.text('proxy/sig_key', 'changeme'),
    proxyMetrics: metricsConf(options, 'proxy'),
  } satisfies Partial<PushpinConf>;
}

function forwardedProto(options: Options): ForwardedProto {
  if (options.text('proxy/set_x_forwarded_protocol', 'proto-only') === 'proto-only') return 'x-forwarded-proto';
  return options.flag('proxy/set_x_forwarded_protocol', true) ? 'both' : 'none';
}

function handlerConf(options: Options) {
  return {
    pushInHttpAddr: options.text('handler/push_in_http_addr', '127.0.0.1'),
    pushInHttpPort: options.count('handler/push_in_http_port', 5561) + options.count('global/port_offset', 0),
    pushInHttpBodyBytes: options.count('handler/push_in_http_max_body_size', 1_000_000),
    pushInSpec: options.specs('handler/push_in_spec'),
    pushInSubSpecs: options.specs('handler/push_in_sub_specs'),
    pushInSubConnect: options.flag('handler/push_in_sub_connect', false),
    commandSpec: options.specs('handler/command_spec'),
    messageWaitMs: options.count('handler/message_wait', 5000),
    // The one option whose absence means something else than its usual value.
    idCacheSeconds: options.count('handler/id_cache_ttl', 0),
    connectionSubscriptionMax: options.count('handler/connection_subscription_max', 20),
    subscriptionLingerSeconds: options.count('handler/subscription_linger', 60),
    updateOnFirstSubscription: options.flag('handler/update_on_first_subscription', true),
    handlerMetrics: metricsConf(options, 'handler'),
  } satisfies Partial<PushpinConf>;
}

function metricsConf(options: Options, section: 'proxy' | 'handler'): MetricsConf {
  return {
    address: options.address(`${section}/prometheus_port`, ''),
    prefix: options.text(`${section}/prometheus_prefix`, ''),
  };
}
