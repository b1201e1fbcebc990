/** The files of the gateway under test, in Pushpin's own form: Pushpin and Foregate are started with the very same. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serverCertificate, serverKey } from '../downstream/certificates.ts';

export interface Ports {
  readonly client: number;
  readonly tls: number;
  readonly control: number;
  /** Prometheus. */
  readonly metrics: number;
  readonly backend: number;
  /** Where a case may start a backend of its own, and another at the same time. */
  readonly spare: number;
  readonly otherSpare: number;
  /** Nobody listens there. */
  readonly closed: number;
}

export interface Files {
  readonly folder: string;
  readonly conf: string;
}

/** A client that signs with it is a trusted gateway. */
export const upstreamKey = 'the key of a gateway in front';

export const signature = { issuer: 'conformance', key: 'the key of the suite' };

/** Lines for the hosts that cases use; everything else goes by the first. Where it matters, `X-Route` tells which was chosen. */
function routes({ backend, closed, spare, otherSpare }: Ports): string[] {
  const target = `127.0.0.1:${backend}`;
  const socketTarget = `${target},over_http`;
  const closedTarget = `127.0.0.1:${closed},over_http`;
  return [
    `* ${socketTarget}`,
    `debug.example,debug ${socketTarget}`,
    `prefix.example,prefix=pre- ${socketTarget}`,
    `one-event.example ${socketTarget},one_event`,
    `sub.example ${socketTarget},sub=implicit`,
    `sub-hold.example ${socketTarget},sub=implicit-of-hold`,
    `plain.example ${target}`,
    `no-grip.example,no_grip ${socketTarget}`,
    `closed.example ${closedTarget}`,
    `failover.example ${closedTarget} ${socketTarget}`,
    `two.example ${socketTarget} ${socketTarget}`,
    `routes.example,header=X-Route:host ${socketTarget}`,
    `paths.example,path_beg=/a,header=X-Route:a ${socketTarget}`,
    `paths.example,path_beg=/ab,header=X-Route:ab ${socketTarget}`,
    `proto.example,header=X-Route:any ${socketTarget}`,
    `proto.example,proto=ws,header=X-Route:ws ${socketTarget}`,
    `proto.example,path_beg=/long/path,header=X-Route:long ${socketTarget}`,
    `tls.example,ssl=yes,header=X-Route:yes ${socketTarget}`,
    `tls.example,ssl=no,header=X-Route:no ${socketTarget}`,
    `twice.example,header=X-Route:first ${socketTarget}`,
    `twice.example,header=X-Route:second ${socketTarget}`,
    'bad.example',
    'bad.example localhost:port',
    `after-bad.example,header=X-Route:loaded ${socketTarget}`,
    `quoted.example,header="X-Route:a, b # c" ${socketTarget} # a comment`,
    `headers.example,header=X-Set:route,header=X-Gone: ${socketTarget}`,
    `as-host.example,as_host=other.example ${socketTarget}`,
    `target-host.example,as_host=other.example ${socketTarget},host=target.example`,
    `rewritten.example,path_beg=/cut,path_rem=4 ${socketTarget}`,
    `rewritten.example,path_beg=/old,replace_beg=/new ${socketTarget}`,
    `signed.example,sig_iss=of-the-route,sig_key=another ${socketTarget}`,
    `by-id.example,id=by-id,header=X-Route:by-id ${socketTarget}`,
    'test.example test',
    `closed-debug.example,debug ${closedTarget}`,
    `spare.example 127.0.0.1:${spare},over_http`,
    `other-spare.example 127.0.0.1:${otherSpare},over_http`,
    `aco.example,aco ${socketTarget}`,
    `sockjs.example,sockjs=/sockjs ${socketTarget}`,
  ];
}

/** Writes `pushpin.conf` and `routes` into a new folder. */
export async function writeFiles(ports: Ports): Promise<Files> {
  const folder = await mkdtemp(join(tmpdir(), 'fg-'));
  await mkdir(join(folder, 'run'));
  await mkdir(join(folder, 'log'));
  const conf = join(folder, 'pushpin.conf');
  const certificates = join(folder, 'runner', 'certs');
  await mkdir(certificates, { recursive: true });
  await writeFile(join(certificates, `default_${ports.tls}.crt`), serverCertificate);
  await writeFile(join(certificates, `default_${ports.tls}.key`), serverKey);
  await writeFile(join(folder, 'routes'), `${routes(ports).join('\n')}\n`);
  await writeFile(conf, confText(folder, ports));
  return { folder, conf };
}

function confText(folder: string, { client, tls, control, metrics }: Ports): string {
  return `[global]
include=${folder}/internal.conf
rundir=${folder}/run
libdir=/usr/lib/pushpin
ipc_prefix=c-

[runner]
services=condure,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:${client}
https_ports=127.0.0.1:${tls}
logdir=${folder}/log
log_level=2
client_buffer_size=8192
client_maxconn=1000
condure_bin=condure
zurl_bin=zurl

[proxy]
routesfile=routes
debug=false
auto_cross_origin=false
accept_x_forwarded_protocol=false
set_x_forwarded_protocol=proto-only
x_forwarded_for=
x_forwarded_for_trusted=
accept_pushpin_route=true
sig_iss=${signature.issuer}
sig_key=${signature.key}
upstream_key=${upstreamKey}
updates_check=off

[handler]
push_in_spec=ipc://${folder}/run/push-in
push_in_sub_specs=ipc://${folder}/run/push-sub
push_in_sub_connect=false
push_in_http_addr=127.0.0.1
push_in_http_port=${control}
push_in_http_max_headers_size=10000
push_in_http_max_body_size=1000000
stats_spec=ipc://${folder}/run/stats
command_spec=ipc://${folder}/run/command
message_rate=2500
message_hwm=25000
message_wait=5000
id_cache_ttl=60
connection_subscription_max=20
prometheus_port=127.0.0.1:${metrics}
prometheus_prefix=pre_
subscription_linger=60
`;
}
