/** Directives of nginx that the import reads, or that say nothing about routes. */

const read = [
  'location server http events upstream map geo include server_name listen limit_req limit_req_zone client_max_body_size',
  'proxy_pass proxy_read_timeout proxy_connect_timeout proxy_set_header auth_jwt return',
  'fastcgi_pass uwsgi_pass scgi_pass grpc_pass memcached_pass',
];

/** How nginx works, and what it goes on doing without anybody in front needing to know. */
const own = [
  'user worker_processes worker_connections worker_rlimit_nofile worker_cpu_affinity pid daemon master_process load_module',
  'error_log access_log log_format log_not_found server_tokens error_page recursive_error_pages default_type types set',
  'sendfile tcp_nopush tcp_nodelay aio directio keepalive_timeout keepalive_requests keepalive reset_timedout_connection',
  'client_body_temp_path proxy_temp_path fastcgi_temp_path uwsgi_temp_path scgi_temp_path temp_path',
  'client_body_buffer_size client_body_timeout client_header_buffer_size large_client_header_buffers client_header_timeout',
  'send_timeout proxy_send_timeout proxy_http_version proxy_buffering proxy_buffer_size proxy_buffers proxy_busy_buffers_size',
  'proxy_request_buffering proxy_next_upstream proxy_redirect proxy_max_temp_file_size proxy_socket_keepalive',
  'proxy_ssl_server_name proxy_ssl_name proxy_ssl_verify proxy_ssl_verify_depth proxy_ssl_trusted_certificate proxy_pass_header',
  'limit_req_status limit_req_log_level limit_conn_status merge_slashes underscores_in_headers',
  'server_names_hash_bucket_size server_names_hash_max_size variables_hash_max_size variables_hash_bucket_size',
  'types_hash_max_size types_hash_bucket_size map_hash_max_size map_hash_bucket_size resolver resolver_timeout',
  'set_real_ip_from real_ip_header real_ip_recursive ssl_certificate ssl_certificate_key ssl_protocols ssl_ciphers',
  'ssl_session_cache ssl_session_timeout ssl_session_tickets ssl_prefer_server_ciphers ssl_dhparam ssl http2 charset',
  'gzip gzip_types gzip_vary gzip_min_length gzip_comp_level gzip_proxied gzip_disable gzip_http_version gzip_buffers zone',
];

const known = new Set([...read, ...own].flatMap((line) => line.split(' ')));

export function isUnderstood(name: string): boolean {
  return known.has(name);
}
