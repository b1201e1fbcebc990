/**
 * Clients that say something again just when the gateway may have closed its side of the connection: nothing fails, and nothing
 * arrives twice. Every gateway here closes after `gatewayIdleSeconds`, Foregate when its adapter says; all gateways and all pauses
 * run at the same time, each client on connections of its own.
 */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { startBackend, type Backend } from '../support/backend.ts';
import { openClient } from '../support/client.ts';
import { startForegate, type RunningForegate } from '../support/gateway.ts';
import { caddy } from './caddy.ts';
import { gatewayIdleSeconds, type ChainGateway, type GatewayKind } from './chain-gateway.ts';
import { echoed, seen } from './chain.ts';
import { expressGateway } from './express-gateway.ts';
import { installGateways, installTimeoutMs } from './gateways.ts';
import { haproxy } from './haproxy.ts';
import { microgateway } from './microgateway.ts';
import { nginx } from './nginx.ts';

/** Node's own timer takes a second more than it says, and Foregate's default is a second less. */
const pausesMs = Array.from({ length: 16 }, (_, i) => gatewayIdleSeconds * 1000 - 1400 + i * 200);

interface Run {
  readonly backend: Backend;
  readonly gateway: ChainGateway;
  readonly foregate: RunningForegate;
  readonly answers: Promise<readonly PromiseSettledResult<string>[]>;
}

describe('a pause about as long as the idle time of the gateway', () => {
  const runs = new Map<string, Run>();
  const kinds = [nginx, haproxy, caddy, expressGateway, microgateway];

  before(async function () {
    this.timeout(installTimeoutMs);
    await installGateways();
    for (const kind of kinds) runs.set(kind.name, await startRun(kind));
  });
  after(async () => {
    for (const { foregate, gateway, backend } of runs.values()) {
      await foregate.stop();
      await gateway.stop();
      await backend.stop();
    }
  });

  for (const { name } of kinds)
    it(`loses and doubles no event through ${name}`, async function () {
      this.timeout(20_000);
      const run = runs.get(name);
      assert.ok(run);
      const expected = pausesMs.map((ms) => `after ${ms}`);
      assert.deepEqual(
        (await run.answers).map((answer) => (answer.status === 'fulfilled' ? answer.value : String(answer.reason))),
        expected,
      );
      assert.deepEqual(
        seen(run.backend)
          .filter((message) => message.startsWith('after '))
          .toSorted(),
        expected.toSorted(),
      );
    });
});

async function startRun(kind: GatewayKind): Promise<Run> {
  const backend = await startBackend();
  const gateway = await kind.start(backend.origin);
  const foregate = await startForegate({ routes: pausesMs.map((ms, i) => routeOf(kind, gateway.origin, ms, i + 1)) });
  const speak = async (ms: number): Promise<string> => {
    const headers = { [kind.keyHeader]: await gateway.freeKey() };
    const client = await openClient(`${foregate.socketUrl}/pause-${ms}`, { headers });
    await echoed(client, `before ${ms}`);
    await pause(ms);
    try {
      return await echoed(client, `after ${ms}`);
    } finally {
      client.socket.terminate();
    }
  };
  return { backend, gateway, foregate, answers: Promise.allSettled(pausesMs.map(speak)) };
}

/** Targets with different terms share no connections. */
function routeOf({ adapter }: GatewayKind, url: string, ms: number, connections: number): object {
  return { id: `pause-${ms}`, match: { path: `/pause-${ms}`, transports: ['websocket'] }, adapter, target: { url, connections } };
}
