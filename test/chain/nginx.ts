/** Debian's nginx as an API gateway: keys in a map, an allowance per key, refusals in JSON. */
import { randomUUID } from 'node:crypto';
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { need } from '../support/debian.ts';
import { freePort, startProcess } from '../support/processes.ts';
import { allowance, bodyBytes, gatewayIdleSeconds, type ChainGateway, type GatewayKind } from './chain-gateway.ts';
import { startRestartable } from './restartable.ts';

const noKey = {
  status: 401,
  body: '{"message":"No API key found in request"}',
  headers: { 'www-authenticate': /^Key realm="chain"$/ },
};
const exhausted = { status: 429, body: '{"message":"API rate limit exceeded"}', headers: { 'retry-after': /^60$/ } };

export const nginx: GatewayKind = {
  name: 'nginx',
  adapter: 'nginx',
  keyHeader: 'apikey',
  noKey,
  exhausted,
  limitsBodies: true,
  revokedCode: 4401,
  lacks: ['no quota beside its rate'],
  start: startNginx,
};

async function startNginx(backendOrigin: string): Promise<ChainGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'foregate-nginx-'));
  const port = await freePort();
  const revoked = join(folder, 'revoked.map');
  await mkdir(join(folder, 'temp'));
  await writeFile(revoked, '');
  await writeFile(join(folder, 'nginx.conf'), settings(port, backendOrigin, folder));
  const running = await startRestartable(
    () => startProcess(need('nginx'), ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr']),
    port,
  );
  const origin = `http://127.0.0.1:${port}`;
  return {
    ...running,
    origin,
    newKey: async () => `key-${randomUUID()}`,
    freeKey: async () => `free-${randomUUID()}`,
    revoke: async (key) => {
      await appendFile(revoked, `"${key}" "";\n`);
      process.kill(running.pid(), 'SIGHUP');
      await refused(origin, key);
    },
    stop: async () => {
      await running.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Nothing tells when a reload is done but what the new worker answers. */
async function refused(origin: string, apikey: string): Promise<void> {
  const deadline = Date.now() + 3000;
  while ((await fetch(`${origin}/revoked`, { headers: { apikey } })).status !== 401) {
    if (Date.now() > deadline) throw new Error('nginx still takes the key.');
    await after(20);
  }
}

/** The worker writes into a folder of ours. */
const asRoot = process.getuid?.() === 0 ? 'user root;\n' : '';

// Requests above the first are let through while they fit into `burst`; a minute later there is room for one more.
function settings(port: number, backendOrigin: string, folder: string): string {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${join(folder, 'temp', name)};`,
  );
  return `
${asRoot}daemon off;
worker_processes 1;
pid ${join(folder, 'nginx.pid')};
error_log stderr error;
events { worker_connections 2048; }
http {
  access_log off;
  ${temp.join('\n  ')}
  map $http_apikey $app { default ""; include ${join(folder, 'revoked.map')}; "~^(key|free)-" $http_apikey; }
  map $app $counted { default ""; "~^key-" $app; }
  limit_req_zone $counted zone=perapp:1m rate=1r/m;
  limit_req_status 429;
  upstream backend { server ${backendOrigin.replace('http://', '')}; keepalive 64; }
  server {
    listen 127.0.0.1:${port};
    keepalive_timeout ${gatewayIdleSeconds}s; keepalive_requests 100000; client_max_body_size ${bodyBytes};
    error_page 401 = @e401; error_page 429 = @e429;
    if ($app = "") { return 401; }
    limit_req zone=perapp burst=${allowance - 1} nodelay;
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Consumer-Username $app;
      proxy_buffering off; proxy_next_upstream off; proxy_read_timeout 30s; gzip off;
    }
    # As it comes: HTTP/1.0 to the backend, and what it streams is kept until its end.
    location /bare/ { proxy_pass http://backend; }
    location @e401 {
      default_type application/json; add_header WWW-Authenticate 'Key realm="chain"' always; return 401 '${noKey.body}';
    }
    location @e429 { default_type application/json; add_header Retry-After 60 always; return 429 '${exhausted.body}'; }
  }
}
`;
}
