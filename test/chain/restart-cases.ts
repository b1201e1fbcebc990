/** What no tunnel can do: the gateway goes away and comes back under open WebSockets. */
import assert from 'node:assert/strict';
import { setTimeout as after } from 'node:timers/promises';
import type { Client } from '../support/client.ts';
import { echoed, seen, type Chain } from './chain.ts';

const sockets = 200;
/** Events must flow again so soon after the gateway is back. */
const recoveryMs = 2000;

/** `awayMs`: how long the gateway is away. */
export function restartCases(chain: () => Chain, awayMs: number): void {
  it(`keeps ${sockets} WebSockets open while the gateway is away, and events flow again within two seconds`, async function () {
    this.timeout(40_000);
    const { kind, gateway, backend } = chain();
    const clients = await openCrowd(chain(), '/close/restart');
    await gateway.kill();
    const asking = kind.opensBeforeReady === true ? 0 : sockets / 2;
    const [early, late] = [clients.slice(0, asking), clients.slice(asking)];
    early.forEach((client, i) => client.send(`while it was away ${i}`));
    await after(awayMs);
    assert.equal(stillOpen(clients), sockets);

    await gateway.start();
    const started = Date.now();
    const answers = Promise.all(early.map((client) => client.nextText(10_000)));
    const afterwards = Promise.all(late.map((client, i) => echoed(client, `after its return ${i}`)));
    assert.deepEqual(await answers, numbered(early, 'while it was away'));
    assert.deepEqual(await afterwards, numbered(late, 'after its return'));
    const took = Date.now() - started;
    assert.ok(took <= recoveryMs, `took ${took} ms`);
    assert.equal(stillOpen(clients), sockets);
    const away = seen(backend).filter((message) => message.startsWith('while it was away'));
    assert.equal(away.length, new Set(away).size, 'a message reached the backend twice');
    clients.forEach(({ socket }) => socket.terminate());
  });
}

/** 200 clients, twenty at a time. */
export async function openCrowd({ gateway, open }: Chain, path: string): Promise<Client[]> {
  const clients: Client[] = [];
  const one = async (): Promise<Client> => open(path, await gateway.freeKey());
  while (clients.length < sockets) clients.push(...(await Promise.all(Array.from({ length: 20 }, one))));
  return clients;
}

export function stillOpen(clients: readonly Client[]): number {
  return clients.filter((client) => client.closing === undefined).length;
}

function numbered(clients: readonly Client[], text: string): string[] {
  return clients.map((_, i) => `${text} ${i}`);
}
