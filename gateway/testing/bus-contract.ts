/** What every bus must keep (see `core/bus.ts`). */
import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import type { Bus, BusReceiver, Notice } from '../core/bus.ts';
import { channelName, type ChannelName } from '../core/ids.ts';
import type { Publication } from '../core/publication.ts';
import { noMetadata } from '../core/session.ts';
import { describe, it } from './suite.ts';

export interface BusUnderTest {
  /** Makes the bus of one process; all of one test stand on the same engine. The suite closes them. */
  readonly open: (receiver: BusReceiver) => Bus | Promise<Bus>;
  /** Whether several can be opened that hear of one another, as processes do. */
  readonly processes: 'one' | 'many';
}

/** Declares the suite. */
export function busContract(name: string, { open, processes }: BusUnderTest): void {
  /** Runs a test with so many processes, and closes their buses. */
  const using = (count: number, test: (...members: readonly Process[]) => Promise<void>) => async (): Promise<void> => {
    const members = await Promise.all(Array.from({ length: count }, async () => startProcess(open)));
    try {
      await test(...members);
    } finally {
      await Promise.all(members.map(async ({ bus }) => bus.close()));
    }
  };
  const withOne = (test: (own: Process) => Promise<void>) => using(1, async (own) => test(given(own)));
  const withTwo = (test: (own: Process, other: Process) => Promise<void>) =>
    using(2, async (own, other) => test(given(own), given(other)));

  describe(`bus: ${name}`, () => {
    it(
      'carries a publication to the process that sent it, once',
      withOne(async ({ bus, got }) => {
        await bus.want(news, true);
        await bus.publish(item(news, 'a'));
        await settle(got, 1);
        assert.deepEqual(got.map(text), ['a']);
      }),
    );

    it(
      'loses nothing that is published once a wish is granted',
      withOne(async ({ bus, got }) => {
        for (let i = 0; i < 20; i += 1) {
          const channel = channelName(`channel-${i}`);
          await bus.want(channel, true);
          await bus.publish(item(channel, String(i)));
        }
        await settle(got, 20);
        assert.equal(got.length, 20);
      }),
    );

    it(
      'keeps the order of one channel',
      withOne(async ({ bus, got }) => {
        await bus.want(news, true);
        await Promise.all(numbers.map(async (number) => bus.publish(item(news, number))));
        await settle(got, numbers.length);
        assert.deepEqual(got.map(text), numbers);
      }),
    );

    it(
      'brings every part of a publication as it was, whatever its bytes',
      withOne(async ({ bus, got }) => {
        await bus.want(news, true);
        for (const publication of [...rich, item(news, 'the next')]) await bus.publish(publication);
        await settle(got, rich.length + 1);
        assert.deepEqual(got, [...rich, item(news, 'the next')]);
      }),
    );

    it(
      'takes publications that nobody wants',
      withOne(async ({ bus }) => {
        await bus.publish(item(news, 'a'));
        await bus.want(news, true);
        await bus.want(news, false);
        await bus.publish(item(news, 'b'));
      }),
    );

    it(
      'goes on where a channel is wanted, given up and wanted again without waiting',
      withOne(async ({ bus, got }) => {
        await Promise.all([bus.want(news, true), bus.want(news, false), bus.want(news, true)]);
        await bus.publish(item(news, 'a'));
        await settle(got, 1);
        assert.deepEqual(got.map(text), ['a']);
      }),
    );

    it(
      'takes what a delivery publishes',
      using(0, async () => {
        const got: string[] = [];
        let again: (publication: Publication) => void = () => {};
        const deliver = (publication: Publication): void => {
          got.push(text(publication));
          if (got.length === 1) again(item(news, 'second'));
        };
        const bus = await open({ deliver, notice: () => {} });
        again = (publication) => void bus.publish(publication);
        try {
          await bus.want(news, true);
          await bus.publish(item(news, 'first'));
          await settle(got, 2);
          assert.deepEqual(got, ['first', 'second']);
        } finally {
          await bus.close();
        }
      }),
    );

    it(
      'can be closed twice',
      withOne(async ({ bus }) => bus.close()),
    );

    if (processes === 'one') return;

    it(
      'carries a publication to another process that wants its channel, once, and to the sender',
      withTwo(async (own, other) => {
        await Promise.all([own.bus.want(news, true), other.bus.want(news, true)]);
        await own.bus.publish(item(news, 'a'));
        await Promise.all([settle(own.got, 1), settle(other.got, 1)]);
        assert.deepEqual([own.got.map(text), other.got.map(text)], [['a'], ['a']]);
      }),
    );

    it(
      'keeps the order of one channel and sender on the way to another process',
      withTwo(async (own, other) => {
        await other.bus.want(news, true);
        await Promise.all(numbers.map(async (number) => own.bus.publish(item(news, number))));
        await settle(other.got, numbers.length);
        assert.deepEqual(other.got.map(text), numbers);
      }),
    );

    it(
      'brings a process nothing that it has given up',
      withTwo(async (own, other) => {
        await Promise.all([other.bus.want(news, true), other.bus.want(sport, true)]);
        await other.bus.want(news, false);
        await own.bus.publish(item(news, 'a'));
        await own.bus.publish(item(sport, 'b'));
        await settle(other.got, 1);
        assert.deepEqual(other.got.map(text), ['b']);
      }),
    );

    it(
      'tells the other process every notice, once and in order, and not the one that tells',
      withTwo(async (own, other) => {
        for (const notice of notices) own.bus.tell(notice);
        await settle(other.told, notices.length);
        assert.deepEqual(other.told, notices);
        assert.deepEqual(own.told, []);
      }),
    );
  });
}

interface Process {
  readonly bus: Bus;
  readonly got: Publication[];
  readonly told: Notice[];
}

const news = channelName('news');
const sport = channelName('sport');
const numbers: readonly string[] = Array.from({ length: 100 }, (_, i) => String(i));

/** One for each thing that a publication may hold. */
const rich: readonly Publication[] = [
  {
    channel: news,
    id: '2',
    previousId: '1',
    unsequenced: true,
    size: 17,
    meta: new Map([
      ['sender', 'ann'],
      ['größe', '\u{1f600}\n'],
    ]),
    formats: {
      message: { action: 'send', type: 'binary', content: Buffer.from([0, 0xff, 0x0a, 0xc3]), contentFilters: ['build-id'] },
      stream: { action: 'send', content: Buffer.from('data: é\n\n') },
      response: {
        action: 'send',
        code: 200,
        reason: 'OK',
        headers: ['X-A', '1', 'x-a', '2'],
        body: { kind: 'bytes', bytes: Buffer.alloc(0) },
      },
    },
  },
  {
    channel: news,
    meta: noMetadata,
    formats: {
      message: { action: 'close', code: 4000, reason: 'bye' },
      stream: { action: 'close' },
      response: {
        action: 'send',
        code: 204,
        headers: [],
        body: { kind: 'patch', patch: [{ op: 'add', path: '/a', value: null }] },
      },
    },
  },
  {
    channel: news,
    meta: noMetadata,
    formats: { message: { action: 'refresh' }, stream: { action: 'hint' }, response: { action: 'hint' } },
  },
];

const notices: readonly Notice[] = [
  { kind: 'revoke', revocation: { of: 'subject', value: 'größe\n', issuedBefore: 1, until: 2 } },
  { kind: 'recover' },
  { kind: 'refresh-channel', channel: news },
];

async function startProcess(open: BusUnderTest['open']): Promise<Process> {
  const got: Publication[] = [];
  const told: Notice[] = [];
  const receiver: BusReceiver = {
    deliver: (publication) => void got.push(publication),
    notice: (notice) => void told.push(notice),
  };
  return { bus: await open(receiver), got, told };
}

function given(process: Process | undefined): Process {
  assert.ok(process !== undefined);
  return process;
}

function item(channel: ChannelName, content: string): Publication {
  return { channel, meta: noMetadata, formats: { message: { action: 'send', type: 'text', content: Buffer.from(content) } } };
}

function text({ formats: { message } }: Publication): string {
  return message?.action === 'send' ? message.content.toString() : '';
}

/** Waits until so many have come, then a little for those that should not. */
async function settle(got: readonly unknown[], count: number): Promise<void> {
  for (const end = Date.now() + 5_000; got.length < count && Date.now() < end;) await wait(2);
  await wait(20);
}
