#!/usr/bin/env bash
# Prepares the measuring on Debian: compiles the load generator and its backend, and for the peers that are named (pushpin, nchan)
# installs Debian's packages and writes configurations. All but the packages goes to .cache/bench; run.ts calls this each time.
#
#   bash bench/setup.sh [pushpin] [nchan]
set -euo pipefail

sources=$(cd "$(dirname "$0")/load" && pwd)
work=$(cd "$(dirname "$0")/.." && pwd)/.cache/bench
# The services that Debian's packages would start have other ports.
pushpin_http=8220 pushpin_publish=8221 pushpin_push=8222 pushpin_sub=8223 pushpin_command=8224
nchan_http=8230 nchan_publish=8231
backend=9000

main() {
  local peer packages=(gcc libc6-dev)
  for peer in "$@"; do
    case $peer in
      pushpin) packages+=(pushpin) ;; # brings zurl and condure
      nchan) packages+=(nginx libnginx-mod-nchan) ;;
      *) fail "There is no peer called $peer." ;;
    esac
  done
  install_packages "${packages[@]}"
  compile
  for peer in "$@"; do "write_$peer"; done
}

fail() {
  echo "$1" >&2
  exit 1
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

install_packages() {
  local package missing=()
  command -v dpkg-query >/dev/null || fail 'This runs on Debian.'
  for package in "$@"; do installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} -eq 0 ] && return
  local line="apt-get install -y --no-install-recommends ${missing[*]}"
  [ "$(id -u)" = 0 ] || fail "The measuring needs ${missing[*]}. As root, run: $line"
  # Their services are not wanted: they are started here, with settings of their own.
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy
  fi
  echo "Installing ${missing[*]} ..." >&2
  export DEBIAN_FRONTEND=noninteractive
  $line >&2 </dev/null || { apt-get update >&2 </dev/null && $line >&2 </dev/null; }
}

compile() {
  local program
  mkdir -p "$work"
  for program in backend loadgen; do
    [ "$work/$program" -nt "$sources/$program.c" ] && continue
    gcc -O2 -Wall -Wextra -o "$work/$program" "$sources/$program.c"
  done
}

# Debian's own configuration with other paths and ports. message_rate=0 lifts the default limit of 2,500 deliveries per second, and
# client_maxconn the one of connections; zurl, Pushpin's HTTP client, gets sockets of its own.
write_pushpin() {
  local dir=$work/pushpin
  # A Unix socket has room for 107 bytes; the longest name that Pushpin makes here has 35.
  [ ${#dir} -le 70 ] || fail "The path $dir is too long for Pushpin's sockets: clone to a shorter one."
  mkdir -p "$dir"/{run,log,zurl,runner/certs}
  cat >"$dir/zurl.conf" <<CONF
[General]
instance_id=
in_spec=ipc://$dir/zurl/zurl-in
in_stream_spec=ipc://$dir/zurl/zurl-in-stream
out_spec=ipc://$dir/zurl/zurl-out
in_req_spec=ipc://$dir/zurl/zurl-req
ipc_file_mode=660
defpolicy=allow
allow=
deny=
max_open_requests=10000
buffer_size=200000
timeout=600
in_hwm=1000
out_hwm=1000
CONF
  sed "s#ipc:///var/run/zurl/#ipc://$dir/zurl/#" /usr/lib/pushpin/internal.conf >"$dir/internal.conf"
  sed -e "s#^include=.*#include=$dir/internal.conf#" -e "s#^rundir=.*#rundir=$dir/run#" -e "s#^logdir=.*#logdir=$dir/log#" \
    -e "s#^http_port=.*#http_port=127.0.0.1:$pushpin_http#" -e "s#^push_in_http_port=.*#push_in_http_port=$pushpin_publish#" \
    -e "s#^push_in_spec=.*#push_in_spec=tcp://127.0.0.1:$pushpin_push#" \
    -e "s#^push_in_sub_specs=.*#push_in_sub_specs=tcp://127.0.0.1:$pushpin_sub#" \
    -e "s#^command_spec=.*#command_spec=tcp://127.0.0.1:$pushpin_command#" \
    -e 's#^client_maxconn=.*#client_maxconn=19000#' -e 's#^message_rate=.*#message_rate=0#' \
    -e 's#^message_hwm=.*#message_hwm=0#' -e 's#^log_level=.*#log_level=1#' /etc/pushpin/pushpin.conf >"$dir/pushpin.conf"
  echo "* 127.0.0.1:$backend,over_http" >"$dir/routes"
  cat >"$dir/start.sh" <<START
#!/bin/sh
zurl --config=$dir/zurl.conf --loglevel=1 >$dir/log/zurl.log 2>&1 &
exec pushpin --config=$dir/pushpin.conf >$dir/log/out.log 2>&1
START
  chmod +x "$dir/start.sh"
}

write_nchan() {
  local dir=$work/nchan
  mkdir -p "$dir"
  cat >"$dir/nginx.conf" <<CONF
load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
daemon off;
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/error.log error;
worker_rlimit_nofile 20000;
events { worker_connections 19000; }
http {
  access_log off;
  client_body_temp_path $dir/body;
  proxy_temp_path $dir/proxy;
  fastcgi_temp_path $dir/fastcgi;
  uwsgi_temp_path $dir/uwsgi;
  scgi_temp_path $dir/scgi;
  keepalive_requests 100000000;
  nchan_max_reserved_memory 256m;
  upstream backend { server 127.0.0.1:$backend; keepalive 128; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:$nchan_http backlog=4096;
    location ~ /sub/(.+)\$ {
      nchan_subscriber websocket eventsource;
      nchan_channel_id \$1;
      nchan_subscriber_first_message newest;
      nchan_message_buffer_length 1;
    }
    location ~ /poll/(.+)\$ {
      nchan_subscriber longpoll;
      nchan_channel_id \$1;
      nchan_subscriber_first_message newest;
      nchan_message_buffer_length 1;
    }
    location /plain { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
  server {
    listen 127.0.0.1:$nchan_publish;
    location ~ /pub/(.+)\$ { nchan_publisher; nchan_channel_id \$1; nchan_message_buffer_length 1; }
  }
}
CONF
}

main "$@"
