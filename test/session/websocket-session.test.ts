/** What of a session no client can see: what it keeps, and that nothing keeps it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mock } from 'node:test';
import { adapters } from '../../adapters/index.ts';
import { Hub } from '../../gateway/channel/hub.ts';
import type { ClientSocket } from '../../gateway/core/client-socket.ts';
import { realClock } from '../../gateway/core/clock.ts';
import type { Reply, RequestDraft } from '../../gateway/core/exchange.ts';
import { channelName } from '../../gateway/core/ids.ts';
import { silentLog } from '../../gateway/core/log.ts';
import { noMetrics } from '../../gateway/core/metrics.ts';
import type { Route } from '../../gateway/core/route.ts';
import { FilterRequests } from '../../gateway/session/filter-requests.ts';
import { Links } from '../../gateway/session/links.ts';
import type { SessionParts } from '../../gateway/session/parts.ts';
import { Pump } from '../../gateway/session/pump.ts';
import { SessionRegistry } from '../../gateway/session/registry.ts';
import { WebSocketSession } from '../../gateway/session/websocket-session.ts';
import { eventsMediaType } from '../../gateway/wire/websocket-events.ts';
import { webSocketOverHttp } from '../../gateway/wire/websocket-over-http.ts';
import { faultFolder, profileOf, replyOf } from '../adapters/fault-fixtures.ts';
import { testRequest, testRoute, testTarget } from '../downstream/routes.ts';

const registries: SessionRegistry[] = [];

afterEach(() => {
  for (const registry of registries.splice(0)) registry.close();
});

/** A client that takes everything and notes what happens to it. */
class TestSocket implements ClientSocket {
  readonly calls: string[] = [];
  unsentBytes = 0;
  encode(messages: readonly { data: Buffer }[]): Buffer {
    return Buffer.concat(messages.map(({ data }) => data));
  }
  writeFrames(frames: Buffer): void {
    this.calls.push(frames.toString());
  }
  startClose(code: number | undefined): void {
    this.calls.push(`close ${String(code)}`);
  }
  drop(): void {
    this.calls.push('drop');
  }
  pause(): void {
    this.calls.push('pause');
  }
  resume(): void {
    this.calls.push('resume');
  }
  drained(then: () => void): void {
    then();
  }
}

async function opened() {
  const drafts: RequestDraft[] = [];
  const send = async (_caller: unknown, draft: RequestDraft): Promise<Reply> => {
    drafts.push(draft);
    return { status: 200, reason: 'OK', headers: ['Content-Type', eventsMediaType], body: Buffer.alloc(0) };
  };
  const parts = partsWith(send);
  const { hub, registry } = parts;
  const target = testTarget({ dialect: webSocketOverHttp });
  const session = new WebSocketSession(parts, testRoute({ targets: [target], grip: { signer: undefined } }), testRequest([]));
  registry.add(session);
  const socket = new TestSocket();
  await session.accepted(socket, new Pump(session), { accept: { kind: 'accept', headers: [] }, steps: [] });
  return { session, socket, hub, registry, drafts };
}

/** A session that the backend wants to be asked for every 20 s, and a gateway that answers so from then on. */
async function silent(refusal: string, onFault: Partial<Route['onFault']> = {}) {
  const adapter = adapters.find(({ name }) => refusal.startsWith(`${name}/`));
  assert.ok(adapter);
  const bytes = readFileSync(join(faultFolder, `${refusal}.http`));
  const drafts: RequestDraft[] = [];
  const parts = partsWith(async (_caller, draft) => {
    drafts.push(draft);
    return replyOf(bytes);
  });
  const target = testTarget({ dialect: webSocketOverHttp, profile: profileOf(adapter) });
  const route = testRoute({ targets: [target] });
  const session = new WebSocketSession(parts, { ...route, onFault: { ...route.onFault, ...onFault } }, testRequest([]));
  parts.registry.add(session);
  const socket = new TestSocket();
  const steps = [{ kind: 'ask-every', intervalMs: 20_000 }] as const;
  await session.accepted(socket, new Pump(session), { accept: { kind: 'accept', headers: [] }, steps });
  return { socket, drafts };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a session', () => {
  it('sets no timers for a client that is gone', async () => {
    const { session } = await opened();
    session.instruct({ kind: 'ask-every', intervalMs: 20_000 });
    assert.equal(session.asks, true);
    session.gone();
    assert.equal(session.asks, false);
    session.instruct({ kind: 'ask-every', intervalMs: 20_000 });
    assert.equal(session.asks, false);
  });

  it('gives a client that reads nothing no keep-alives', async () => {
    const { session, socket } = await opened();
    socket.unsentBytes = session.route.limits.unsentBytes;
    const message = { kind: 'text', data: Buffer.from('tick') } as const;
    session.instruct({ kind: 'keep-alive', keepAlive: { message, mode: 'interval', timeoutMs: 5 } });
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(socket.calls, []);
    socket.unsentBytes -= 1;
    while (socket.calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(socket.calls[0], 'tick');
    session.gone();
  });

  it('still takes state for a client that is gone', async () => {
    const { session } = await opened();
    session.gone();
    session.instruct({ kind: 'set-state', name: 'user', value: '42' });
    assert.equal(session.state.get('user'), '42');
  });

  it('keeps no more than 64 items of metadata, and may replace those it has', async () => {
    const { session } = await opened();
    for (let i = 0; i < 70; i += 1) session.instruct({ kind: 'set-state', name: `n${i}`, value: 'x' });
    session.instruct({ kind: 'set-state', name: 'n0', value: 'y' });
    assert.equal(session.state.size, 64);
    assert.equal(session.state.get('n0'), 'y');
    session.instruct({ kind: 'set-state', name: 'n0', value: undefined });
    assert.equal(session.state.size, 63);
  });

  it('leaves its channels and the registry when both sides are done', async () => {
    const { session, hub, registry, drafts } = await opened();
    await session.subscribe({ channel: channelName('a'), filters: [] });
    assert.equal(registry.size, 1);
    session.gone();
    assert.deepEqual(hub.channelsOf(session), []);
    assert.equal(registry.get(session.id), undefined);
    assert.equal(registry.size, 1); // The backend has to be told.
    await turn();
    await turn();
    assert.deepEqual(
      drafts.map(({ body }) => body?.toString()),
      ['DISCONNECT\r\n'],
    );
    assert.equal(registry.size, 0);
  });

  it('ends once, whatever happens at the same time', async () => {
    const { session, socket, drafts } = await opened();
    session.end({ kind: 'deny', code: 'idle', detail: '' });
    session.end({ kind: 'deny', code: 'shutting-down', detail: '' });
    session.violated(1002);
    session.closing(1000, '');
    session.gone();
    session.gone();
    await turn();
    await turn();
    assert.deepEqual(
      socket.calls.filter((call) => call.startsWith('close')),
      ['close 4408'],
    );
    assert.deepEqual(
      drafts.map(({ body }) => body?.toString()),
      ['DISCONNECT\r\n'],
    );
  });

  describe('on which nothing happens, while its gateway takes something back', () => {
    beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
    afterEach(() => mock.timers.reset());

    for (const [what, refusal, closeCode] of [
      ['the key', 'kong/bad-key', 4401],
      ['the permission', 'kong/acl', 4403],
      ['the quota', 'tyk/quota', 4429],
    ] as const)
      it(`${what}: is closed with ${closeCode} when the backend is asked next, and not before`, async () => {
        const { socket, drafts } = await silent(refusal);
        mock.timers.tick(19_999);
        await turn();
        assert.deepEqual([drafts.length, socket.calls], [0, []]);
        mock.timers.tick(1);
        await turn();
        assert.deepEqual([drafts.map(({ body }) => body?.length ?? 0), socket.calls], [[0], [`close ${closeCode}`, 'resume']]);
      });

    it('the quota: goes on where the route says so, is told nothing, and is asked again', async () => {
      const { socket, drafts } = await silent('tyk/quota', { quota: 'answer' });
      for (const count of [1, 2]) {
        mock.timers.tick(20_000);
        await turn();
        await turn();
        assert.deepEqual([drafts.length, socket.calls], [count, []]);
      }
    });
  });

  it('tells its policies once that it is over', () => {
    let ends = 0;
    const { hooks, ...route } = testRoute();
    const session = new WebSocketSession(
      partsWith(noReply),
      { ...route, hooks: { ...hooks, disconnect: [() => (ends += 1)] } },
      testRequest([]),
    );
    session.refusedAtOpening(502);
    session.gone();
    assert.equal(ends, 1);
  });
});

function noReply(): Promise<Reply> {
  return Promise.reject(new Error('Nothing is to be sent.'));
}

function partsWith(send: SessionParts['send']): SessionParts {
  const hub = new Hub({ want: () => undefined, log: silentLog, metrics: noMetrics });
  const registry = new SessionRegistry(() => Date.now());
  registries.push(registry);
  const filterRequests = new FilterRequests({ clock: realClock, metrics: noMetrics });
  const links = new Links();
  const lastId = (): undefined => undefined;
  return { hub, registry, metrics: noMetrics, log: silentLog, clock: realClock, send, filterRequests, links, lastId };
}
