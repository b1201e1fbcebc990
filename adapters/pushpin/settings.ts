/**
 * Makes the settings of a `foregate.yaml` from a Pushpin configuration: what stands in it is what Pushpin does, said option by
 * option. What has no equivalent is left out and told, never replaced by something looser. Defaults of `core/settings.ts` are left
 * out.
 */
import { posix } from 'node:path';
import type { Address, ConfFile, PushpinConf } from './conf-file.ts';
import { withFaults, type Finding } from './finding.ts';
import type { RoutesFile } from './routes-file.ts';
import { isKey, isUpstreamKey, keySource, noKey } from './key-source.ts';
import { present, presentOrNone, type Raw } from '../conversion/present.ts';
import { routesSettings } from './route-settings.ts';

export interface PushpinFiles {
  readonly conf: ConfFile;
  readonly routes: RoutesFile;
  /** Names for findings. */
  readonly names: { readonly conf: string; readonly routes: string };
  /** The folder of `pushpin.conf`, where relative paths in it start. */
  readonly folder: string;
}

export interface Imported {
  /** What `config/load.ts` reads; plain data. */
  readonly settings: Raw;
  /** For each of the routes the line of the routes file it came from. */
  readonly lines: readonly number[];
  /** Of both files, in their order. */
  readonly findings: readonly Finding[];
}

/** Never throws. */
export function importPushpin({ conf: { conf, findings, lineOf }, routes, names, folder }: PushpinFiles): Imported {
  const fault = (option: string, text: string): Finding => ({
    file: names.conf,
    line: lineOf(option),
    option,
    verdict: 'refused',
    text,
  });
  const listen = listenSettings(conf, folder, fault);
  const control = controlSettings(conf, fault);
  const zeromq = zeroMqSettings(conf, fault);
  const metrics = metricsSettings(conf, fault);
  const grip = gripSettings(conf, folder, fault);
  const loop = loopSettings(conf, fault);
  const made = routesSettings(routes.routes, { conf, file: names.routes, folder });
  const settings = present({
    listen: listen.settings,
    control: present({ ...control.settings, zeromq: zeromq.settings }),
    metrics: metrics.settings,
    grip: grip.settings,
    // What stands in front.
    forwarded: forwardedSettings(conf),
    cdnLoop: loop.settings,
    // How the route of a request is found.
    routeHeader: conf.acceptPushpinRoute ? 'Pushpin-Route' : undefined,
    exclusiveHosts: true,
    noRouteStatus: 502,
    // Pushpin lets clients send what they like.
    stripHeaders: [],
    ...processSettings(conf),
    defaults: routeDefaults(conf),
    routes: made.routes,
  });
  const isBase = ({ file }: Finding): boolean => file !== names.conf;
  return {
    settings: withoutVariables(settings) as Raw,
    lines: made.lines,
    findings: [
      ...findings.filter(isBase),
      ...withFaults(
        findings.filter((finding) => !isBase(finding)),
        [listen, control, zeromq, metrics, grip, loop].flatMap((part) => part.findings),
      ),
      ...withFaults(routes.findings, made.findings),
    ],
  };
}

/** A part of the settings, and what there is to say about it. */
interface Part<Value> {
  readonly settings: Value;
  readonly findings: readonly Finding[];
}

type Fault = (option: string, text: string) => Finding;

/** Without any port left nothing may be open to others by chance: Foregate's own default is all addresses. */
function listenSettings({ httpPort, httpsPorts, localPorts }: PushpinConf, folder: string, fault: Fault): Part<Raw[]> {
  const tls = { folder: posix.resolve(folder, 'runner/certs') };
  const settings = [
    ...(httpPort === undefined ? [] : [listenAt(httpPort)]),
    ...httpsPorts.map((port) => ({ ...listenAt(port), tls })),
    ...localPorts.map(({ path, mode }) => present({ socket: posix.resolve(folder, path), socketMode: mode })),
  ];
  if (settings.length > 0) return { settings, findings: [] };
  return { settings: [{ host: '127.0.0.1', port: 7999 }], findings: [fault('runner/http_port', noPort)] };
}

const noPort = 'No port at all. Foregate listens on 127.0.0.1:7999 until listen says more.';

function listenAt({ host, port }: Address): Raw {
  return present({ host, port });
}

/** Pushpin's port has no lock of its own, so open to others it cannot be taken over. */
function controlSettings({ pushInHttpAddr, pushInHttpPort }: PushpinConf, fault: Fault): Part<Raw> {
  const open = !isLoopback(pushInHttpAddr);
  const none = pushInHttpPort < 1 || pushInHttpPort > 65_535;
  const findings = [
    ...(open ? [fault('handler/push_in_http_addr', openControl(pushInHttpAddr))] : []),
    ...(none ? [fault('handler/push_in_http_port', 'Not a port; 5561 is taken.')] : []),
  ];
  return { settings: { host: open ? '127.0.0.1' : pushInHttpAddr, port: none ? 5561 : pushInHttpPort }, findings };
}

function isLoopback(host: string): boolean {
  return /^(?:localhost|::1|127(?:\.\d{1,3}){3})$/.test(host);
}

function openControl(address: string): string {
  return `Everybody who reaches ${address} could publish. Foregate listens on 127.0.0.1 until control.host and control.auth (or control.tls.ca) are set.`;
}

/** Its package is an optional one, and Pushpin's own file names these sockets: who never used them shall not have to install it. */
function zeroMqSettings(conf: PushpinConf, fault: Fault): Part<Raw | undefined> {
  const { pushInSpec, pushInSubSpecs, pushInSubConnect: connects, commandSpec } = conf;
  const sound = (specs: readonly string[], mayBeFar = false) => specs.filter((spec) => specFault(spec, mayBeFar) === undefined);
  const faults = (option: string, specs: readonly string[], mayBeFar = false): Finding[] =>
    specs.flatMap((spec) => specFault(spec, mayBeFar) ?? []).map((text) => fault(option, text));
  const subscribe = sound(pushInSubSpecs, connects);
  const sockets = presentOrNone({
    pull: sound(pushInSpec).at(0),
    subscribe: subscribe.length === 0 ? undefined : subscribe,
    connect: subscribe.length > 0 && connects ? true : undefined,
    commands: sound(commandSpec).at(0),
  });
  return {
    settings: sockets && { ...sockets, optional: true },
    findings: [
      ...faults('handler/push_in_spec', pushInSpec),
      ...faults('handler/push_in_sub_specs', pushInSubSpecs, connects),
      ...faults('handler/command_spec', commandSpec),
    ],
  };
}

/** Why a socket cannot be taken over. */
function specFault(spec: string, mayBeFar: boolean): string | undefined {
  if (/^ipc:\/\/./.test(spec)) return undefined;
  const [, host = '', port = ''] = /^tcp:\/\/(.+):(\d{1,5})$/.exec(spec) ?? [];
  if (host === '' || Number(port) < 1 || Number(port) > 65_535)
    return `Not a socket of ZeroMQ that Foregate knows (tcp://host:port or ipc://path): ${JSON.stringify(spec)}.`;
  if (mayBeFar || isLoopback(host.replace(/^\[(.*)\]$/, '$1'))) return undefined;
  return `Everybody who reaches ${spec} could publish. It is left out: set it in control.zeromq, with unprotected: true.`;
}

/** Here one port shows everything, as that of Pushpin's handler does. */
function metricsSettings({ proxyMetrics, handlerMetrics }: PushpinConf, fault: Fault): Part<Raw | undefined> {
  const [section, taken] = handlerMetrics.address === undefined ? ['proxy', proxyMetrics] : ['handler', handlerMetrics];
  const { address } = taken;
  if (address === undefined) return { settings: undefined, findings: [] };
  const named = /^([A-Za-z_:][A-Za-z0-9_:]*)?$/.test(taken.prefix);
  const findings = [
    ...(section === 'handler' && proxyMetrics.address !== undefined ? [fault('proxy/prometheus_port', oneMetricsPort)] : []),
    ...(address.host === undefined ? [fault(`${section}/prometheus_port`, closedMetrics)] : []),
    ...(named ? [] : [fault(`${section}/prometheus_prefix`, 'Not the beginning of a name that Prometheus knows.')]),
  ];
  const prefix = taken.prefix === '' || !named ? undefined : taken.prefix;
  return { settings: present({ prefix, port: address.port, host: address.host }), findings };
}

const oneMetricsPort = 'There is one port for metrics, that of handler/prometheus_port.';
const closedMetrics =
  'Pushpin shows its metrics at all addresses. Foregate shows them on 127.0.0.1 until metrics.host says more.';

function gripSettings({ sigIss, sigKey, upstreamKey }: PushpinConf, folder: string, fault: Fault): Part<Raw> {
  const usable = isKey(sigKey);
  const known = isUpstreamKey(upstreamKey);
  const settings = {
    issuer: sigIss === '' ? undefined : sigIss,
    key: usable ? keySource(sigKey, folder) : undefined,
    upstreamKey: known ? keySource(upstreamKey, folder) : undefined,
  };
  const findings = [
    ...(usable || sigKey === '' ? [] : [fault('proxy/sig_key', noKey)]),
    ...(known || upstreamKey === '' ? [] : [fault('proxy/upstream_key', 'Not a key to check signatures with.')]),
  ];
  return { settings: present(settings), findings };
}

/** Pushpin believes everybody, and writes none of the other fields. */
function forwardedSettings(conf: PushpinConf): Raw {
  return present({
    for: present({ ...conf.xForwardedFor }),
    // For a gateway in front.
    forSigned: conf.upstreamKey === '' ? undefined : present({ ...conf.xForwardedForTrusted }),
    proto: conf.setXForwardedProtocol,
    acceptProto: conf.acceptXForwardedProtocol ? true : undefined,
    others: 'pass',
  });
}

/** Pushpin refuses nothing, and several in a row may have the same name; what passes more often than this will go on for ever. */
const loopPasses = 10;

function loopSettings({ cdnLoop }: PushpinConf, fault: Fault): Part<Raw | undefined> {
  if (cdnLoop === '') return { settings: undefined, findings: [] };
  if (isLoopId(cdnLoop)) return { settings: { id: cdnLoop, passes: loopPasses }, findings: [] };
  return {
    settings: undefined,
    findings: [fault('proxy/cdn_loop', `Not a name as RFC 8586 has them: ${JSON.stringify(cdnLoop)}.`)],
  };
}

function isLoopId(text: string): boolean {
  return /^[A-Za-z0-9!#$%&'*+.^_`|~:[\]-]+$/.test(text);
}

const levels = ['error', 'warn', 'info', 'debug'] as const;
/** Foregate's own smallest limit. */
const headerBytesMin = 1024;
/** 24 days, Foregate's longest time. */
const timeMaxSeconds = 24 * 86_400;

function processSettings(conf: PushpinConf): Raw {
  return present({
    limits: {
      sessions: Math.max(1, conf.clientMaxconn),
      headerBytes: Math.max(headerBytesMin, conf.clientBufferBytes),
      publishBytes: Math.max(1, conf.pushInHttpBodyBytes),
    },
    publish: {
      waitForEarlier: `${Math.min(timeMaxSeconds * 1000, conf.messageWaitMs)}ms`,
      rememberIds: `${Math.min(timeMaxSeconds, conf.idCacheSeconds)}s`,
    },
    holds: presentOrNone({
      recheck: conf.updateOnFirstSubscription ? undefined : false,
      linger: conf.subscriptionLingerSeconds === 60 ? undefined : `${Math.min(timeMaxSeconds, conf.subscriptionLingerSeconds)}s`,
    }),
    log: { level: levels[conf.logLevel] ?? 'debug' },
  });
}

/** What holds for every route. */
function routeDefaults(conf: PushpinConf): Raw {
  return present({
    closeFrames: false,
    slowClients: 'drop-newest',
    limits: presentOrNone({
      subscriptions: conf.connectionSubscriptionMax === 20 ? undefined : conf.connectionSubscriptionMax,
    }),
    debug: conf.debug ? true : undefined,
  });
}

/** In a `foregate.yaml` the text `${` begins a variable. */
function withoutVariables(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('${', () => '$${');
  if (Array.isArray(value)) return value.map(withoutVariables);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, withoutVariables(entry)]));
}
