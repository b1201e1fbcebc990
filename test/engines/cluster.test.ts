/** What workers hear of each other by their primary, besides what the contracts of buses and stores say. */
import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import type { Notice } from '../../gateway/core/bus.ts';
import { channelName, sessionId } from '../../gateway/core/ids.ts';
import { limits } from '../../gateway/core/limits.ts';
import { silentLog, type LogFields } from '../../gateway/core/log.ts';
import type { Publication } from '../../gateway/core/publication.ts';
import type { Question } from '../../gateway/core/question.ts';
import type { Revocation } from '../../gateway/core/revocation.ts';
import { noMetadata } from '../../gateway/core/session.ts';
import { createClusterBus } from '../../gateway/engines/cluster-bus.ts';
import { ClusterMember } from '../../gateway/engines/cluster-member.ts';
import type { ToWorker } from '../../gateway/engines/cluster-messages.ts';
import { ClusterPrimary } from '../../gateway/engines/cluster-primary.ts';
import { clusterStore } from '../../gateway/engines/cluster-store.ts';
import { ManualClock } from '../../gateway/testing/manual-clock.ts';
import { useCluster } from './cluster.ts';

const news = channelName('news');
const atMostOne = { max: 1, over: 'refuse' } as const;
const newest = { max: 1, over: 'evict' } as const;

function item(content: string, id?: string): Publication {
  const formats = { message: { action: 'send', type: 'text', content: Buffer.from(content) } } as const;
  return { channel: news, meta: noMetadata, formats, ...(id !== undefined && { id }) };
}

describe('cluster', () => {
  const cluster = useCluster();

  const holder = (id: string, lost: () => void = () => ok(false, `${id} lost its lease`)) => ({ id, lost });

  it('gives the leases of a worker that is gone to others', async () => {
    const [one, two] = [await cluster().worker(), await cluster().worker()];
    const store = clusterStore(two.member);
    equal(await clusterStore(one.member).lease('key', holder('a'), atMostOne), true);
    equal(await store.lease('key', holder('b'), atMostOne), false);
    one.gone();
    equal(await store.lease('key', holder('b'), atMostOne), true);
  });

  it('leaves a lease that was lost to another worker to that one, when the worker that lost it is gone', async () => {
    const [one, two] = [await cluster().worker(), await cluster().worker()];
    const store = clusterStore(two.member);
    const lost: string[] = [];
    await clusterStore(one.member).lease(
      'key',
      holder('a', () => lost.push('a')),
      newest,
    );
    equal(await store.lease('key', holder('b'), newest), true);
    one.gone();
    equal(await store.lease('key', holder('c'), atMostOne), false);
    // What was asked of the one worker has come back by now, so what was told before has come, too.
    await one.member.call('want', { channel: news, wanted: true });
    deepEqual(lost, ['a']);
  });

  it('says that a lease was given before it says that it is lost', async () => {
    const { member } = await cluster().worker();
    const store = clusterStore(member);
    const told: string[] = [];
    const ask = async (id: string): Promise<void> => {
      const given = await store.lease(
        'key',
        holder(id, () => told.push(`${id} lost`)),
        newest,
      );
      if (given) told.push(`${id} given`);
    };
    await Promise.all([ask('a'), ask('b')]);
    await new Promise((resolve) => setImmediate(resolve));
    ok(told.indexOf('a given') < told.indexOf('a lost'), told.join(', '));
    deepEqual(new Set(told), new Set(['a given', 'a lost', 'b given']));
  });

  it('counts what all workers take', async () => {
    const stores = [clusterStore((await cluster().worker()).member), clusterStore((await cluster().worker()).member)];
    const taken = await Promise.all(
      Array.from({ length: 10 }, async (_, i) => stores[i % 2]?.take('key', { limit: 5, windowMs: 60_000 }, 1)),
    );
    equal(taken.filter((each) => each?.allowed).length, 5);
  });

  it('tells a worker that does not want a channel that an item passed, and of its content nothing', async () => {
    const [one, two] = [await cluster().worker(), await cluster().worker()];
    const told: Notice[] = [];
    const receiver = { deliver: () => ok(false, 'it was delivered'), notice: (notice: Notice) => void told.push(notice) };
    createClusterBus(two.member, receiver);
    const bus = createClusterBus(one.member, { deliver: () => {}, notice: () => ok(false, 'it wants the channel') });
    await bus.want(news, true);
    await bus.publish(item('secret', '7'));
    await bus.publish(item('secret'));
    await two.member.call('take', { key: 'later', budget: { limit: 1, windowMs: 1000 }, cost: 0 });
    deepEqual(told, [
      { kind: 'passed', channel: news, id: '7' },
      { kind: 'passed', channel: news },
    ]);
  });

  it('has the items of a channel in one order in all workers, whoever sends them', async () => {
    const members = [await cluster().worker(), await cluster().worker(), await cluster().worker()];
    const got: string[][] = members.map(() => []);
    const buses = members.map(({ member }, i) =>
      createClusterBus(member, {
        deliver: ({ formats: { message } }) => got[i]?.push(message?.action === 'send' ? message.content.toString() : ''),
        notice: () => {},
      }),
    );
    await Promise.all(buses.map(async (bus) => bus.want(news, true)));
    await Promise.all(Array.from({ length: 300 }, async (_, i) => buses[i % 3]?.publish(item(String(i)))));
    // Each has asked something after everything was published, and has the answer.
    await Promise.all(buses.map(async (bus) => bus.want(channelName('other'), true)));
    equal(got[0]?.length, 300);
    deepEqual(got[1], got[0]);
    deepEqual(got[2], got[0]);
  });

  it('tells a worker that comes later what was revoked, and for how long', async () => {
    const revocation: Revocation = { of: 'subject', value: 'ann', issuedBefore: 5, until: Date.now() + 60_000 };
    const [one, two] = [await cluster().worker({ answer: () => 0 }), await cluster().worker({ answer: () => 0 })];
    createClusterBus(one.member, { deliver: () => {}, notice: () => {} }).tell({ kind: 'revoke', revocation });
    await two.member.ask({ kind: 'revoke', revocation: { ...revocation, of: 'jti', issuedBefore: 1 } });
    await one.member.ask({ kind: 'revoke', revocation: { ...revocation, issuedBefore: 3 } });
    await one.member.ask({ kind: 'revoke', revocation: { ...revocation, value: 'over', until: 1 } });
    const told: Notice[] = [];
    await cluster().worker({
      before: (member) => createClusterBus(member, { deliver: () => {}, notice: (notice) => void told.push(notice) }),
    });
    deepEqual(told, [
      { kind: 'revoke', revocation },
      { kind: 'revoke', revocation: { ...revocation, of: 'jti', issuedBefore: 1 } },
    ]);
  });

  it('tells a collector which channels any worker wants, also those from before it came', async () => {
    const [one, two] = [await cluster().worker(), await cluster().worker()];
    await one.member.call('want', { channel: channelName('early'), wanted: true });
    const heard: string[] = [];
    const wanted = (name: string, wants: boolean): void => void heard.push(`${wants ? '+' : '-'}${name}`);
    await cluster().worker({ collector: true, wanted });
    await one.member.call('want', { channel: news, wanted: true });
    await two.member.call('want', { channel: news, wanted: true });
    await one.member.call('want', { channel: news, wanted: false });
    two.gone();
    one.gone();
    await (await cluster().worker()).member.ask({ kind: 'statistics' });
    deepEqual(heard, ['+early', '+news', '-news', '-early']);
  });

  it('asks all other workers, and says how many could not answer', async () => {
    const asked: Question[] = [];
    const question = { kind: 'refresh', id: sessionId('a') } as const;
    const own = await cluster().worker({ answer: () => ok(false, 'it was asked itself') });
    deepEqual(await own.member.ask(question), { answers: [], failed: 0, silent: 0 });
    await cluster().worker({ answer: (each) => asked.push(each) > 0 });
    await cluster().worker({ answer: async () => false });
    await cluster().worker({ answer: () => Promise.reject(new Error('broken')) });
    const { answers, failed, silent } = await own.member.ask(question);
    deepEqual([new Set(answers), failed, silent], [new Set([false, true]), 1, 0]);
    deepEqual(asked, [question]);
  });
});

describe('cluster primary', () => {
  const wires = (clock: ManualClock) => {
    const lines: string[] = [];
    const line = (event: string, fields: LogFields = {}): void =>
      void lines.push(`${event} ${String(fields['dropped'])} ${String(fields['state'])}`);
    const primary = new ClusterPrimary({ clock, log: { ...silentLog, warn: line, error: line } });
    return { primary, lines };
  };
  const settled = () => new Promise((resolve) => setImmediate(resolve));

  it('answers without those who are silent, or gone', async () => {
    const clock = new ManualClock();
    const { primary } = wires(clock);
    const replies: ToWorker[] = [];
    const asker = primary.connect(1, (frame) => replies.push(...frame));
    const others = [2, 3].map((number) => primary.connect(number, () => {}));
    for (const [i, { take }] of [asker, ...others].entries()) take([{ kind: 'join', call: i, collector: false }]);
    asker.take([{ kind: 'ask', call: 7, question: { kind: 'statistics' } }]);
    others[0]?.gone();
    await settled();
    equal(replies.length, 1);
    clock.advance(limits.askMs);
    await settled();
    deepEqual(replies.at(-1), { kind: 'reply', call: 7, value: { answers: [], failed: 0, silent: 1 } });
    others[1]?.take([{ kind: 'answer', question: 1, answer: 'late' }]);
    await settled();
    equal(replies.length, 2);
  });

  it('drops publications for a worker that does not read, never notices, and says so once each time', async () => {
    const { primary, lines } = wires(new ManualClock());
    const got: ToWorker[] = [];
    const written: (() => void)[] = [];
    const slow = primary.connect(1, (frame, then) => {
      got.push(...frame);
      written.push(then);
    });
    slow.take([
      { kind: 'join', call: 1, collector: false },
      { kind: 'want', call: 2, channel: news, wanted: true },
    ]);
    const other = primary.connect(2, () => {});
    const large = item('x'.repeat(limits.ipcBytes / 2));
    const publish = (): void => other.take([{ kind: 'publish', call: 1, publication: large }]);
    for (let i = 0; i < 4; i += 1) publish();
    other.take([{ kind: 'tell', notice: { kind: 'recover' } }]);
    await settled();
    deepEqual(
      got.map(({ kind }) => kind),
      ['reply', 'reply', 'deliver', 'notice'],
    );
    deepEqual(lines, ['worker.behind 1 began']);
    for (const then of written) then();
    publish();
    await settled();
    equal(got.at(-1)?.kind, 'deliver');
    deepEqual(lines, ['worker.behind 1 began', 'worker.behind 3 ended']);
  });

  it('fails what a worker asks when the primary is silent', async () => {
    const clock = new ManualClock();
    const member = new ClusterMember({ number: 1, programKey: Buffer.alloc(0), send: () => {}, clock, log: silentLog });
    const store = clusterStore(member);
    const first = rejects(async () => store.take('key', { limit: 1, windowMs: 1 }, 1), /primary process does not answer/);
    clock.advance(limits.ipcMs - 1);
    const second = rejects(async () => store.lease('key', { id: 'a', lost: () => {} }, atMostOne), { code: 'internal' });
    clock.advance(1);
    await first;
    clock.advance(limits.ipcMs);
    await second;
    equal(clock.pending, 0);
  });
});
