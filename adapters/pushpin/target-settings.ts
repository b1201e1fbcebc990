/** Makes a target of a `foregate.yaml` from one of a Pushpin routes file (GRIP 7.1). */
import { isIP } from 'node:net';
import { isChannelName } from '../../gateway/core/ids.ts';
import { testBackendUrl } from '../../gateway/core/target-settings.ts';
import type { Finding } from './finding.ts';
import { fileSource } from './key-source.ts';
import { present, presentOrNone, type Raw } from '../conversion/present.ts';
import type { PushpinRoute, PushpinTarget } from './routes-file.ts';

export interface TargetTerms {
  readonly route: PushpinRoute;
  readonly transports: readonly string[];
  /** Where relative paths start. */
  readonly folder: string;
  readonly tell: (option: string, verdict: Finding['verdict'], text: string) => void;
}

/** Pushpin waits for a reply as long as the connection is not idle for so long. */
const timeout = '30m';

/** Undefined for a target that cannot be taken over. */
export function targetSettings(target: PushpinTarget, terms: TargetTerms): Raw | undefined {
  const { route, transports, tell } = terms;
  const { place } = target;
  if (target.ipcFileMode !== undefined) tell('ipc_file_mode', 'ignored', 'There are no ZeroMQ targets.');
  const channels = channelsOf(target, tell);
  if (place.kind === 'test') {
    return present({ url: testBackendUrl, channels, timeout });
  }
  if (place.kind === 'zhttp') {
    tell('', 'refused', 'A target that speaks ZeroMQ (zhttp) cannot be reached.');
    return undefined;
  }
  const host = isIP(place.host) === 6 ? `[${place.host}]` : place.host;
  if (!/^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)$/.test(host) || !URL.canParse(`http://${host}`)) {
    tell('', 'refused', `A target is not the name or address of a host: ${JSON.stringify(place.host)}.`);
    return undefined;
  }
  const hostField = hostOf(target.host ?? route.asHost, tell);
  return present({
    url: `${target.ssl ? 'https' : 'http'}://${host}:${place.port}`,
    dialect: !target.overHttp && transports.includes('websocket') ? 'relay' : undefined,
    host: hostField,
    oneEventPerRequest: target.oneEvent ? true : undefined,
    channels,
    timeout,
    publicOnly: target.untrusted ? true : undefined,
    tls: target.ssl ? tlsSettings(target, { connectHost: place.host, hostField }, terms) : withoutTls(target, tell),
  });
}

function channelsOf({ sub }: PushpinTarget, tell: TargetTerms['tell']): readonly string[] | undefined {
  const sound = sub.filter((name) => isChannelName(name));
  if (sound.length < sub.length) tell('sub', 'refused', 'A channel name is too long, or has control characters.');
  return sound.length === 0 ? undefined : sound;
}

function hostOf(host: string | undefined, tell: TargetTerms['tell']): string | undefined {
  if (host === undefined || /^[A-Za-z0-9._:[\]-]+$/.test(host)) return host;
  tell('host', 'refused', `Not a host: ${JSON.stringify(host)}.`);
  return undefined;
}

function withoutTls({ clientCert, clientKey, insecure, trustConnectHost }: PushpinTarget, tell: TargetTerms['tell']): undefined {
  if (clientCert !== undefined || clientKey !== undefined || insecure || trustConnectHost)
    tell('ssl', 'ignored', 'What is said about certificates means nothing without ssl.');
}

interface Hosts {
  readonly connectHost: string;
  /** Undefined: the client's own. */
  readonly hostField: string | undefined;
}

function tlsSettings(target: PushpinTarget, hosts: Hosts, { route, folder, tell }: TargetTerms): Raw | undefined {
  const { clientCert, clientKey } = target;
  const certified = clientCert !== undefined && clientKey !== undefined;
  if (!certified && clientCert !== clientKey)
    tell('client_cert', 'refused', 'A certificate needs its key, and the key its certificate.');
  const checked = target.trustConnectHost ? hosts.connectHost : checkedName(hosts, route);
  if (checked === undefined && !target.insecure) tell('ssl', 'ignored', checkedElsewhere);
  return presentOrNone({
    servername: checked === undefined || checked === hosts.connectHost ? undefined : checked,
    verify: target.insecure ? false : undefined,
    cert: certified ? fileSource(clientCert, folder) : undefined,
    key: certified ? fileSource(clientKey, folder) : undefined,
  });
}

const checkedElsewhere =
  "Pushpin checks the target's certificate against the Host that the client asked for; Foregate against the host of the target, or tls.servername.";

/** Whose certificate it must be, if that can be said without the request. */
function checkedName({ hostField }: Hosts, { host }: PushpinRoute): string | undefined {
  const exact = host === '*' || host === '' ? undefined : host;
  return (hostField ?? exact)?.replace(/:\d+$/, '');
}
