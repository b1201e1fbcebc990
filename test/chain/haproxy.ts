/** Debian's HAProxy as an API gateway: keys by their beginning, those revoked in a list that its socket adds to, a rate per key. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

export const haproxy: GatewayKind = {
  name: 'haproxy',
  adapter: 'haproxy',
  keyHeader: 'apikey',
  noKey,
  exhausted,
  limitsBodies: true,
  revokedCode: 4401,
  lacks: ['no quota beside its rate'],
  start: startHaproxy,
};

async function startHaproxy(backendOrigin: string): Promise<ChainGateway> {
  const folder = await mkdtemp(join(tmpdir(), 'foregate-haproxy-'));
  const port = await freePort();
  await writeFile(join(folder, 'revoked.lst'), '');
  await writeFile(join(folder, 'haproxy.cfg'), settings(port, backendOrigin, folder));
  const running = await startRestartable(
    () => startProcess(need('haproxy'), ['-db', '-q', '-f', join(folder, 'haproxy.cfg')]),
    port,
  );
  return {
    ...running,
    origin: `http://127.0.0.1:${port}`,
    newKey: async () => `key-${randomUUID()}`,
    freeKey: async () => `free-${randomUUID()}`,
    revoke: (key) => command(join(folder, 'admin.sock'), `add acl ${join(folder, 'revoked.lst')} ${key}`),
    stop: async () => {
      await running.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Says one command at its socket, which closes when it is carried out. @throws Error with what it says against it */
async function command(path: string, line: string): Promise<void> {
  const socket = connect(path);
  let answer = '';
  socket.on('data', (piece) => (answer += piece.toString()));
  socket.end(`${line}\n`);
  await once(socket, 'close');
  if (answer.trim() !== '') throw new Error(answer);
}

function settings(port: number, backendOrigin: string, folder: string): string {
  const refusal = ({ status, body }: { status: number; body: string }, field: string): string =>
    `http-request return status ${status} content-type application/json hdr ${field} string '${body}'`;
  return `
global
  stats socket ${join(folder, 'admin.sock')} mode 600 level admin
  maxconn 2000
defaults
  mode http
  option http-no-delay
  http-reuse always
  timeout connect 2s
  timeout client 75s
  timeout server 30s
  timeout http-keep-alive ${gatewayIdleSeconds}s
  timeout http-request 10s
frontend gateway
  bind 127.0.0.1:${port}
  acl has_key req.hdr(apikey) -m found
  acl good_key req.hdr(apikey) -m beg key- free-
  acl revoked req.hdr(apikey) -f ${join(folder, 'revoked.lst')}
  ${refusal(noKey, `WWW-Authenticate 'Key realm="chain"'`)} unless has_key
  ${refusal({ status: 401, body: '{"message":"Unauthorized"}' }, `WWW-Authenticate 'Key realm="chain"'`)} if !good_key || revoked
  http-request deny deny_status 413 if { req.hdr_val(content-length) gt ${bodyBytes} }
  stick-table type string len 64 size 10k expire 60s store http_req_rate(60s)
  http-request track-sc0 req.hdr(apikey) if { req.hdr(apikey) -m beg key- }
  ${refusal(exhausted, 'Retry-After 60')} if { sc_http_req_rate(0) gt ${allowance} }
  http-request set-header X-Consumer-Username %[req.hdr(apikey)]
  default_backend behind
backend behind
  server backend ${backendOrigin.replace('http://', '')}
`;
}
