/** The sessions of the process, and the end of the idle ones. */
import assert from 'node:assert/strict';
import type { SessionInfo } from '../../gateway/core/control-host.ts';
import { newSessionId } from '../../gateway/core/ids.ts';
import type { Denial } from '../../gateway/core/session.ts';
import { SessionRegistry, type Registered } from '../../gateway/session/registry.ts';
import { testSession } from '../../gateway/testing/index.ts';
import { testRoute } from '../downstream/routes.ts';

let registry: SessionRegistry;
let now = 0;

beforeEach(() => {
  now = 0;
  registry = new SessionRegistry(() => now);
});

afterEach(() => registry.close());

function add(changes: Partial<Registered> = {}): Registered & { readonly ended: Denial[] } {
  const ended: Denial[] = [];
  const info = (): SessionInfo => assert.fail('Nobody asked.');
  const session = {
    id: newSessionId(),
    route: testRoute({ idleMs: 500 }),
    activeAt: 0,
    live: true,
    transport: 'websocket' as const,
    identity: undefined,
    ended,
    view: testSession(),
    info,
    ask: () => undefined,
    recover: () => undefined,
    drop: () => undefined,
    end: (denial: Denial) => void ended.push(denial),
    ...changes,
  };
  registry.add(session);
  return session;
}

describe('the registry', () => {
  it('finds the sessions whose client is there', () => {
    const live = add();
    const gone = add({ live: false });
    assert.equal(registry.get(live.id), live);
    assert.equal(registry.get(gone.id), undefined);
    assert.equal(registry.get(newSessionId()), undefined);
    assert.deepEqual([...registry.live()], [live]);
    assert.equal(registry.size, 2);
  });

  it('ends sessions that were idle for too long, and no others', async () => {
    const idle = add();
    const busy = add({ activeAt: 900 });
    const gone = add({ live: false });
    now = 1000;
    await new Promise((resolve) => setTimeout(resolve, 1100));
    assert.deepEqual(
      idle.ended.map(({ code }) => code),
      ['idle'],
    );
    assert.deepEqual([busy.ended, gone.ended], [[], []]);
  });

  it('tells when the last session is over', async () => {
    const [one, two] = [add(), add()];
    let empty = false;
    const waiting = registry.empty(2000).then(() => (empty = true));
    registry.remove(one);
    registry.remove(one);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(empty, false);
    registry.remove(two);
    await waiting;
    await registry.empty(2000);
  });

  it('waits no longer than it was told', async () => {
    add();
    const start = performance.now();
    await registry.empty(30);
    assert.ok(performance.now() - start < 500);
  });
});
