/** Who Foregate is for a gateway that asks for certificates: each route shows its own, whatever kind of request it makes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import { WebSocketServer } from 'ws';
import { silentLog } from '../../gateway/core/log.ts';
import { createForegate } from '../../gateway/foregate.ts';
import { eventsMediaType } from '../../gateway/wire/websocket-events.ts';
import { clientCertificate, clientKey, serverCertificate, serverKey } from '../downstream/certificates.ts';
import { openClient, refusedClient } from '../support/client.ts';
import { loadSettings } from '../support/gateway.ts';
import { clearStage, onClear } from './stage.ts';

/** Certificates that the gateway knows, by the name of their owner. */
const certificates = {
  client: { cert: clientCertificate, key: clientKey },
  localhost: { cert: serverCertificate, key: serverKey },
} as const;

type Owner = keyof typeof certificates;
const owners: readonly Owner[] = ['client', 'localhost'];

describe('a gateway that asks for certificates', () => {
  afterEach(clearStage);

  it('gets that of each route, with events, plain requests, links and WebSockets, from one address', async () => {
    const { origin, seen } = await startGateway();
    const url = await startFront(origin, { client: certificates.client, localhost: certificates.localhost });
    for (const owner of [...owners, ...owners]) {
      for (const path of [`/${owner}`, `/${owner}/relay`]) {
        const client = await openClient(`${url.replace('http', 'ws')}${path}`);
        onClear(() => client.socket.terminate());
        client.send('hello');
        assert.equal(await client.nextText(), 'hello');
      }
      assert.equal(await (await fetch(`${url}/${owner}/plain`)).text(), 'plain');
      assert.equal(await (await fetch(`${url}/${owner}/pages`)).text(), 'one two');
    }
    for (const owner of owners) {
      const own = seen.filter(({ path }) => path.startsWith(`/${owner}`));
      assert.deepEqual(new Set(own.map(({ by }) => by)), new Set([owner]));
      assert.deepEqual(
        new Set(own.map(({ path }) => path.slice(owner.length + 1))),
        new Set(['', '/relay', '/plain', '/pages', '/next']),
      );
    }
  });

  it('does not let in a route without one', async () => {
    const { origin, seen } = await startGateway();
    const url = await startFront(origin, { client: {}, localhost: certificates.localhost });
    assert.equal((await fetch(`${url}/client/plain`)).status, 502);
    assert.equal((await refusedClient(`${url.replace('http', 'ws')}/client`)).status, 502);
    assert.equal((await refusedClient(`${url.replace('http', 'ws')}/client/relay`)).status, 502);
    assert.deepEqual(seen, []);
    assert.equal((await fetch(`${url}/localhost/plain`)).status, 200);
  });
});

interface Seen {
  readonly path: string;
  /** The name in the certificate. */
  readonly by: string | undefined;
}

/** Takes requests of known certificates only, and keeps whose they were. */
async function startGateway() {
  const seen: Seen[] = [];
  const note = ({ url = '', socket }: IncomingMessage): void => {
    const name = socket instanceof TLSSocket ? socket.getPeerCertificate().subject.CN : undefined;
    seen.push({ path: url, by: typeof name === 'string' ? name : undefined });
  };
  const terms = { cert: serverCertificate, key: serverKey, ca: owners.map((owner) => certificates[owner].cert) };
  const server = createServer({ ...terms, requestCert: true, rejectUnauthorized: true }, (request, response) => {
    note(request);
    answer(request, response);
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket, request) => {
    note(request);
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  onClear(() => {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
    server.close();
    server.closeAllConnections();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // A TCP server has no other kind of address.
  return { origin: `https://127.0.0.1:${port}`, seen };
}

/** Sends events back, and answers with pages that lead to each other. */
const answer: RequestListener = (request, response) => {
  const { url = '', headers } = request;
  if (headers['content-type'] === eventsMediaType) {
    response.setHeader('Content-Type', eventsMediaType);
    request.pipe(response);
    return;
  }
  if (url.endsWith('/pages')) response.setHeader('Grip-Link', '<next>; rel=next');
  response.end(url.endsWith('/pages') ? 'one ' : url.endsWith('/next') ? 'two' : 'plain');
};

type Shown = (typeof certificates)[Owner] | Readonly<Record<string, never>>;

/** Two routes for each owner, which are all one address behind. */
async function startFront(origin: string, shown: Readonly<Record<Owner, Shown>>): Promise<string> {
  const routeTo = (url: string, owner: Owner, path: string) => ({
    id: path.slice(1).replace('/', '-'),
    match: { path },
    targets: [{ url, tls: { ca: serverCertificate, ...shown[owner] } }],
  });
  const routes = owners.flatMap((owner) => [
    routeTo(origin.replace('http', 'ws'), owner, `/${owner}/relay`),
    routeTo(origin, owner, `/${owner}`),
  ]);
  const foregate = await createForegate(await loadSettings({ drain: '200ms', routes }), { log: silentLog });
  await foregate.start();
  onClear(() => foregate.stop());
  return foregate.addresses.clients[0] ?? '';
}
