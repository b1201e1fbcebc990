/** A chain of client (`ws`), Foregate, gateway and backend, each a real program with real sockets. */
import { echo, startBackend, type Backend } from '../support/backend.ts';
import { openClient, type Client } from '../support/client.ts';
import { startForegate, type RunningForegate } from '../support/gateway.ts';
import { startSlowLink, type SlowLink } from '../support/slow-link.ts';
import { allowance, type ChainGateway, type GatewayKind } from './chain-gateway.ts';

/** The OPEN is a request like every message: so many messages are left. */
export const messages = allowance - 1;

export interface Chain {
  readonly kind: GatewayKind;
  readonly backend: Backend;
  readonly gateway: ChainGateway;
  readonly foregate: RunningForegate;
  /** Between Foregate and the gateway, on the route `/linked/`: it counts connections. */
  readonly link: SlowLink;
  /** Opens a WebSocket with a key nobody has used, or with the one given. */
  open(path?: string, key?: string): Promise<Client>;
}

export async function startChain(kind: GatewayKind): Promise<Chain> {
  const backend = await startBackend();
  const gateway = await kind.start(backend.origin);
  const link = await startSlowLink(Number(new URL(gateway.origin).port));
  const foregate = await startForegate({ routes: routesTo(kind, gateway.origin, `http://127.0.0.1:${link.port}`) });
  const open = async (path = '/close/room', key?: string): Promise<Client> =>
    openClient(`${foregate.socketUrl}${path}`, { headers: { [kind.keyHeader]: key ?? (await gateway.newKey()) } });
  return { kind, backend, gateway, foregate, link, open };
}

export async function stopChain(chain: Chain): Promise<void> {
  chain.backend.answer = echo;
  await chain.foregate.stop();
  await chain.link.stop();
  await chain.gateway.stop();
  await chain.backend.stop();
}

function routesTo({ adapter }: GatewayKind, origin: string, linked: string): object[] {
  const route = (id: string, target: object | string, more: object = {}): object => {
    return { id, match: { path: `/${id}/`, transports: ['websocket'] }, adapter, target, ...more };
  };
  return [
    route('close', origin),
    route('answer', origin, { onFault: { throttled: 'answer', quota: 'answer' } }),
    route('never', { url: origin, retry: 'never' }),
    route('single', { url: origin, oneEventPerRequest: true }),
    route('linked', linked),
    { id: 'http', adapter, target: origin },
  ];
}

/** Sends a message and gives the next that comes. */
export async function echoed(client: Client, message: string): Promise<string> {
  client.send(message);
  return client.nextText();
}

/** The text messages that reached the backend. */
export function seen(backend: Backend): string[] {
  return backend.events().flatMap((event) => (event.kind === 'text' ? [event.data.toString()] : []));
}
