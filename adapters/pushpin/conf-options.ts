/** Every option of `pushpin.conf` (GRIP 7.2), and what becomes of it. `docs/pushpin.md` has the same list. */
import type { Finding } from './finding.ts';

export interface ConfOption {
  /** `section/option` */
  readonly name: string;
  readonly verdict: Finding['verdict'];
  /** How it is honoured, or why not and what to use instead. */
  readonly text: string;
  /** Values with which nothing is missing, whatever becomes of others. */
  readonly harmless?: readonly string[];
}

const statistics = 'There are no statistics over ZeroMQ; see GET /stats and GET /metrics of the control API.';
const zeroMq = 'if the package zeromq is installed; without it a warning says so, and publishing goes over HTTP.';
const processes = 'Foregate is one program.';
const none = 'Foregate has no equivalent yet';

/** Values of a switch that is off. */
const off = ['', '0', 'false'];

export const confOptions: readonly ConfOption[] = [
  honoured('global/include', 'Its options hold where this file says nothing.'),
  honoured('global/rundir', 'Put in where {rundir} stands; Foregate keeps no files of its own there.'),
  honoured('global/libdir', 'Put in where {libdir} stands.'),
  honoured('global/ipc_prefix', 'Put in where {ipc_prefix} stands.'),
  honoured('global/port_offset', 'Added to the ports of the control API and of ZeroMQ.'),
  ignored('global/stats_connection_ttl', statistics),
  ignored('global/stats_connection_send', statistics),

  ignored('runner/services', processes),
  honoured('runner/http_port', 'As an entry of listen.'),
  honoured('runner/https_ports', 'As entries of listen with tls.folder: runner/certs beside this file.'),
  honoured('runner/local_ports', 'As entries of listen with socket, and socketMode where there is a mode.'),
  ignored('runner/logdir', 'The log goes to standard output; let the service manager keep it.'),
  honoured('runner/log_level', 'As log.level.'),
  honoured('runner/client_buffer_size', 'As limits.headerBytes, at least 1024.'),
  honoured('runner/client_maxconn', 'As limits.sessions.'),
  ignored('runner/allow_compression', `${none}: messages to clients are not compressed, which every client takes.`),
  ignored('runner/condure_bin', processes),
  ignored('runner/connmgr_bin', processes),
  ignored('runner/proxy_bin', processes),
  ignored('runner/handler_bin', processes),
  ignored('runner/mongrel2_bin', processes),
  ignored('runner/m2sh_bin', processes),
  ignored('runner/m2adapter_bin', processes),
  ignored('runner/zurl_bin', processes),

  honoured('proxy/routesfile', 'The file is read, unless another is given with --routes.'),
  honoured('proxy/debug', 'As debug of all routes.'),
  honoured('proxy/auto_cross_origin', 'As cors and jsonp of all routes.'),
  honoured('proxy/accept_x_forwarded_protocol', 'As forwarded.acceptProto.'),
  honoured('proxy/set_x_forwarded_protocol', 'As forwarded.proto.'),
  honoured('proxy/x_forwarded_for', 'As forwarded.for.'),
  honoured('proxy/x_forwarded_for_trusted', 'As forwarded.forSigned.'),
  refused('proxy/orig_headers_need_mark', 'Copies of original header fields under a marker prefix are not made.', ['']),
  honoured('proxy/accept_pushpin_route', 'As routeHeader.'),
  honoured('proxy/cdn_loop', 'As cdnLoop; a request that has passed ten times is refused.'),
  ignored('proxy/log_from', 'The log has no addresses of clients; see GET /connections of the control API.'),
  ignored('proxy/log_user_agent', 'The log has no header fields of clients.'),
  honoured('proxy/sig_iss', 'As grip.issuer.'),
  honoured('proxy/sig_key', 'As grip.key.'),
  honoured('proxy/upstream_key', 'As grip.upstreamKey.'),
  honoured('proxy/sockjs_url', 'As sockjs.clientUrl of the routes with sockjs; without the option there is no iframe page.'),
  ignored('proxy/workers', 'Threads of its proxy; to use more processors set workers in foregate.yaml.'),
  ignored('proxy/max_open_requests', 'limits.sessions bounds sessions, connections of a target bounds requests to it.'),
  ignored('proxy/stats_report_interval', statistics),
  ignored('proxy/stats_connections_max_ttl', statistics),
  honoured('proxy/prometheus_port', 'As metrics.port, unless handler/prometheus_port names one.', ['']),
  honoured('proxy/prometheus_prefix', 'As metrics.prefix, unless handler/prometheus_port names a port.', ['']),
  ignored('proxy/updates_check', 'Foregate asks nobody for updates and reports nothing.'),
  ignored('proxy/organization_name', 'Foregate asks nobody for updates and reports nothing.'),

  ignored('handler/ipc_file_mode', processes),
  honoured('handler/push_in_spec', `As control.zeromq.pull, ${zeroMq}`, ['']),
  honoured('handler/push_in_sub_specs', `As control.zeromq.subscribe, ${zeroMq}`, ['']),
  honoured('handler/push_in_sub_connect', 'As control.zeromq.connect.'),
  honoured('handler/push_in_http_addr', 'As control.host.'),
  honoured('handler/push_in_http_port', 'As control.port.'),
  ignored('handler/push_in_http_max_headers_size', 'The header of a call to the control API may have 16 KiB.'),
  honoured('handler/push_in_http_max_body_size', 'As limits.publishBytes.'),
  ignored('handler/stats_spec', statistics),
  honoured('handler/command_spec', `As control.zeromq.commands, ${zeroMq}`, ['']),
  refused('handler/state_spec', 'Sessions are not looked up in a store outside.', ['']),
  ignored('handler/message_rate', 'Deliveries are not paced: clients get what is published as fast as they take it.'),
  ignored('handler/message_hwm', 'What waits is bounded for each channel and each client instead; see slowClients.'),
  ignored('handler/message_block_size', statistics),
  honoured('handler/message_wait', 'As publish.waitForEarlier.'),
  honoured('handler/id_cache_ttl', 'As publish.rememberIds; without the option Pushpin remembers nothing.'),
  honoured(
    'handler/update_on_first_subscription',
    'As holds.recheck: the backend is asked again at once, but only if an item was published between a request and its subscription.',
  ),
  honoured('handler/connection_subscription_max', 'As limits.subscriptions of all routes.'),
  honoured('handler/subscription_linger', 'As holds.linger.'),
  ignored('handler/stats_subscription_ttl', statistics),
  ignored('handler/stats_report_interval', statistics),
  ignored('handler/stats_format', statistics),
  honoured('handler/prometheus_port', 'As metrics.port, and metrics.host if it names an address.', ['']),
  honoured('handler/prometheus_prefix', 'As metrics.prefix.', ['']),
  refused('handler/share_all', 'Equal requests in flight are not put together.', off),
];

/** Sockets between Pushpin's own processes. */
export function isInternalOption(name: string): boolean {
  return /^(?:proxy|handler)\/.*_specs?$/.test(name) && !confOptions.some((option) => option.name === name);
}

function honoured(name: string, text: string, harmless: readonly string[] = []): ConfOption {
  return { name, verdict: 'honoured', text, harmless };
}

function ignored(name: string, text: string): ConfOption {
  return { name, verdict: 'ignored', text };
}

function refused(name: string, text: string, harmless: readonly string[]): ConfOption {
  return { name, verdict: 'refused', text, harmless };
}
