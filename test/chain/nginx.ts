/** Debian's nginx as an API gateway: a key in `apikey`, an allowance per key, refusals in JSON. */
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { need } from '../support/debian.ts';
import { freePort, startProcess, waitForPort, type Process } from '../support/processes.ts';
import { allowance, type ChainGateway } from './chain-gateway.ts';

export interface NginxGateway extends ChainGateway {
  /** Ends it as a crash would: no connection is closed in good order. */
  kill(): Promise<void>;
  /** Starts it again, with the same settings at the same port, unless it runs. */
  start(): Promise<void>;
}

const noKey = { status: 401, body: '{"message":"No API key found in request"}' };
const exhausted = { status: 429, body: '{"message":"API rate limit exceeded"}' };

export async function startNginx(backendOrigin: string): Promise<NginxGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'foregate-nginx-'));
  const port = await freePort();
  await mkdir(join(folder, 'temp'));
  await writeFile(join(folder, 'nginx.conf'), settings(port, backendOrigin, folder));
  let running: Process | undefined;

  const start = async (): Promise<void> => {
    if (running) return;
    running = startProcess(need('nginx'), ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr']);
    await waitForPort(port, running);
  };
  await start();
  return {
    name: 'nginx',
    origin: `http://127.0.0.1:${port}`,
    keyHeader: 'apikey',
    newKey: async () => `key-${randomUUID()}`,
    noKey,
    exhausted,
    start,
    kill: async () => {
      await running?.stop('SIGKILL');
      running = undefined;
    },
    stop: async () => {
      await running?.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

// One process, so that killing it kills all of it. Requests above the first are let through while they fit into `burst`; a
// minute later there is room for one more.
function settings(port: number, backendOrigin: string, folder: string): string {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(folder, 'temp', name)};`,
  );
  return `
daemon off;
master_process off;
pid ${join(folder, 'nginx.pid')};
error_log stderr error;
events { worker_connections 2048; }
http {
  access_log off;
  ${temp.join('\n  ')}
  map $http_apikey $app { default ""; "~^key-" $http_apikey; }
  limit_req_zone $app zone=perapp:1m rate=1r/m;
  limit_req_status 429;
  upstream backend { server ${backendOrigin.replace('http://', '')}; keepalive 64; }
  server {
    listen 127.0.0.1:${port};
    keepalive_timeout 75s; keepalive_requests 100000; client_max_body_size 256k;
    error_page 401 = @e401; error_page 429 = @e429;
    location / {
      if ($app = "") { return 401; }
      limit_req zone=perapp burst=${allowance - 1} nodelay;
      proxy_pass http://backend;
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Consumer-Username $app;
      proxy_buffering off; proxy_next_upstream off; proxy_read_timeout 30s; gzip off;
    }
    location @e401 { default_type application/json; return 401 '${noKey.body}'; }
    location @e429 { default_type application/json; add_header Retry-After 60 always; return 429 '${exhausted.body}'; }
  }
}
`;
}
