/** The files of the gateway under test, in Pushpin's own form: Pushpin and Foregate are started with the very same. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Ports {
  readonly client: number;
  readonly control: number;
  readonly backend: number;
  /** Nobody listens there. */
  readonly closed: number;
}

export interface Files {
  readonly folder: string;
  readonly conf: string;
}

export const signature = { issuer: 'conformance', key: 'the key of the suite' };

/** One line for each host or path that a case needs; everything else goes by the first. */
function routes({ backend, closed }: Ports): string[] {
  const target = `127.0.0.1:${backend}`;
  return [
    `* ${target},over_http`,
    `debug.example,debug ${target},over_http`,
    `prefix.example,prefix=pre- ${target},over_http`,
    `one-event.example ${target},over_http,one_event`,
    `sub.example ${target},over_http,sub=implicit`,
    `plain.example ${target}`,
    `no-grip.example,no_grip ${target},over_http`,
  ].concat([
    `closed.example 127.0.0.1:${closed},over_http`,
    `failover.example 127.0.0.1:${closed},over_http ${target},over_http`,
  ]);
}

/** Writes `pushpin.conf` and `routes` into a new folder. */
export async function writeFiles(ports: Ports): Promise<Files> {
  const folder = await mkdtemp(join(tmpdir(), 'fg-'));
  await mkdir(join(folder, 'run'));
  await mkdir(join(folder, 'log'));
  const conf = join(folder, 'pushpin.conf');
  await writeFile(join(folder, 'routes'), `${routes(ports).join('\n')}\n`);
  await writeFile(conf, confText(folder, ports));
  return { folder, conf };
}

function confText(folder: string, { client, control }: Ports): string {
  return `[global]
include=${folder}/internal.conf
rundir=${folder}/run
libdir=/usr/lib/pushpin
ipc_prefix=c-

[runner]
services=condure,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:${client}
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
accept_pushpin_route=false
sig_iss=${signature.issuer}
sig_key=${signature.key}
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
subscription_linger=60
`;
}
