/**
 * `npm start`: everything in one process, with no outside service. Foregate, a stand-in for an API gateway and the chat backend
 * of examples/chat; the page at the address it prints shows each frame beside the HTTP request it became.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createLog } from '../bin/log.ts';
import { parts } from '../gateway/parts.ts';
import { loadConfig } from '../gateway/config/load.ts';
import { createForegate, type Foregate } from '../gateway/foregate.ts';
import { createBackend } from './chat/with-foregate.ts';
import { createGateway } from './gateway/gateway.ts';

const host = '127.0.0.1';
const usage =
  'Usage: npm start [-- --port PORT]    PORT is that of the page; with it, all other ports are free ones; 0: the page too.';
/** Stopping takes no longer. */
const stopMs = 900;

interface Ports {
  readonly clients: number;
  readonly control: number;
  readonly gateway: number;
  readonly backend: number;
}

try {
  await run(await choosePorts(readPort()));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}

async function run(ports: Ports): Promise<void> {
  const gripKey = randomBytes(32).toString('hex');
  const backend = createBackend({ controlUrl: `http://${host}:${ports.control}/`, gripKey });
  const gateway = createGateway({ backend: `http://${host}:${ports.backend}`, pages: join(import.meta.dirname, 'demo/page') });
  const foregate = await prepareForegate(ports, gripKey);
  endOnSignals(foregate, [gateway, backend]);
  await listen(backend, ports.backend);
  await listen(gateway, ports.gateway);
  await foregate.start();
  announce(ports);
}

async function prepareForegate(ports: Ports, gripKey: string): Promise<Foregate> {
  const environment = {
    CLIENT_PORT: String(ports.clients),
    CONTROL_PORT: String(ports.control),
    GATEWAY_PORT: String(ports.gateway),
    GRIP_KEY: gripKey,
  };
  const loaded = await loadConfig(join(import.meta.dirname, 'demo/foregate.yaml'), parts, environment);
  return createForegate(loaded, { log: createLog(loaded.settings.log) });
}

function announce({ clients, control, gateway, backend }: Ports): void {
  const item = {
    channel: 'room',
    formats: { 'ws-message': { content: JSON.stringify({ name: 'curl', text: 'hello, everyone' }) } },
  };
  console.log(`
The demo runs: open  http://${host}:${clients}/

  Foregate           http://${host}:${clients}/   control API  http://${host}:${control}/
  gateway stand-in   http://${host}:${gateway}/   20 requests in 10 seconds per key; keys demo-alice, demo-bob
  chat backend       http://${host}:${backend}/

Publish to everyone:
  curl -d '${JSON.stringify({ items: [item] })}' http://${host}:${control}/publish/

Ctrl-C ends.
`);
}

/** The port asked for, or undefined for the usual ones. */
function readPort(): number | undefined {
  const { port } = readArguments();
  if (port === undefined) return undefined;
  if (!/^\d+$/.test(port) || Number(port) > 65_535) throw new Error(`--port takes a number from 0 to 65535.\n${usage}`);
  return Number(port);
}

function readArguments(): { readonly port?: string | undefined } {
  try {
    return parseArgs({ options: { port: { type: 'string' } } }).values;
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n${usage}`, { cause: error });
  }
}

/** Without a port: Foregate's own usual ports, which must be free, as the printed addresses are known by heart. */
async function choosePorts(asked: number | undefined): Promise<Ports> {
  const taken = new Set<number>();
  const take = async (port: number, when: 'needed' | 'wished'): Promise<number> => {
    const found = await freePort(port, taken);
    if (found === undefined && when === 'needed') throw new Error(busy(port));
    const chosen = found ?? (await freePort(0, taken)) ?? 0;
    taken.add(chosen);
    return chosen;
  };
  return {
    clients: await take(asked ?? 7999, 'needed'),
    control: await take(asked === undefined ? 5561 : 0, 'needed'),
    gateway: await take(asked === undefined ? 8080 : 0, 'wished'),
    backend: await take(asked === undefined ? 9000 : 0, 'wished'),
  };
}

function busy(port: number): string {
  return `Port ${port} is in use by another program. For free ports: npm start -- --port 0`;
}

/** The port itself (0: any), or undefined if something listens on it already. */
async function freePort(port: number, taken: ReadonlySet<number>): Promise<number | undefined> {
  const server = createServer();
  try {
    await listen(server, port);
    const found = (server.address() as AddressInfo).port; // A TCP server has no other kind of address.
    return taken.has(found) ? undefined : found;
  } catch {
    return undefined;
  } finally {
    server.close();
  }
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, host);
  await once(server, 'listening');
}

function endOnSignals(foregate: Foregate, servers: readonly Server[]): void {
  const end = (): void => {
    setTimeout(() => process.exit(0), stopMs).unref();
    void foregate.stop().finally(() => {
      for (const server of servers) server.close().closeAllConnections();
      process.exit(0);
    });
  };
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
}
