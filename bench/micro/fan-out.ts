/**
 * What the hub itself costs per delivery, without sockets: nanoseconds of one thread. Run: node bench/micro/fan-out.ts
 * Scenarios: one item at a time to 1,000 subscribers; eight items joined per turn; 10,000 channels with one subscriber each;
 * 1,000 subscribers with a filter. Also the memory of 100,000 subscriptions (with --expose-gc).
 */
import { channelName, newSessionId, type ChannelName } from '../../gateway/core/ids.ts';
import { silentLog } from '../../gateway/core/log.ts';
import { noMetrics } from '../../gateway/core/metrics.ts';
import type { Publication, Subscriber } from '../../gateway/core/publication.ts';
import { noMetadata } from '../../gateway/core/session.ts';
import { Hub } from '../../gateway/channel/hub.ts';
import { messageShape } from '../../gateway/wire/message-shape.ts';

class NullSubscriber implements Subscriber {
  readonly id = newSessionId();
  readonly shape = messageShape;
  readonly meta = noMetadata;
  readonly asksFilters = false;
  filterFailed(): void {}
  items = 0;

  joined(): boolean {
    return false;
  }

  write(_bytes: Buffer, items: number): boolean {
    this.items += items;
    return true;
  }

  act(): void {}

  missed(): void {}

  askFilter(): Promise<'drop'> {
    return Promise.resolve('drop');
  }
}

interface Scenario {
  readonly name: string;
  readonly channels: number;
  readonly subscribersPerChannel: number;
  readonly itemsPerTurn: number;
  readonly turns: number;
  readonly filters: readonly string[];
}

const scenarios: readonly Scenario[] = [
  { name: '1,000 subscribers, one item', channels: 1, subscribersPerChannel: 1_000, itemsPerTurn: 1, turns: 5_000, filters: [] },
  {
    name: '1,000 subscribers, 8 items joined',
    channels: 1,
    subscribersPerChannel: 1_000,
    itemsPerTurn: 8,
    turns: 5_000,
    filters: [],
  },
  { name: '10,000 subscribers, one item', channels: 1, subscribersPerChannel: 10_000, itemsPerTurn: 1, turns: 300, filters: [] },
  {
    name: '10,000 channels of one, 32 items per turn',
    channels: 10_000,
    subscribersPerChannel: 1,
    itemsPerTurn: 32,
    turns: 30_000,
    filters: [],
  },
  {
    name: '1,000 subscribers with skip-self',
    channels: 1,
    subscribersPerChannel: 1_000,
    itemsPerTurn: 1,
    turns: 500,
    filters: ['skip-self'],
  },
];

for (const scenario of scenarios) {
  await run({ ...scenario, turns: Math.ceil(scenario.turns / 5) });
  const { ns, deliveries } = await run(scenario);
  console.log(`${scenario.name}: ${(ns / deliveries).toFixed(1)} ns per delivery`);
}
await weigh();

async function run(scenario: Scenario): Promise<{ ns: number; deliveries: number }> {
  const hub = newHub();
  const names = Array.from({ length: scenario.channels }, (_, i) => channelName(`channel-${i}`));
  const subscribers = names.flatMap((name) => subscribe(hub, name, scenario));
  const items = names.map(itemFor);
  const expected = scenario.turns * scenario.itemsPerTurn * scenario.subscribersPerChannel;
  const start = process.hrtime.bigint();
  let next = 0;
  for (let turn = 0; turn < scenario.turns; turn += 1) {
    for (let i = 0; i < scenario.itemsPerTurn; i += 1) {
      const item = items[next];
      next = (next + 1) % items.length;
      if (item !== undefined) hub.receive(item);
    }
    // oxlint-disable-next-line no-await-in-loop
    await new Promise(setImmediate);
  }
  while (total(subscribers) < expected) await new Promise(setImmediate); // oxlint-disable-line no-await-in-loop
  return { ns: Number(process.hrtime.bigint() - start), deliveries: total(subscribers) };
}

function newHub(): Hub {
  return new Hub({ want: () => {}, log: silentLog, metrics: noMetrics });
}

function subscribe(hub: Hub, name: ChannelName, { subscribersPerChannel, filters }: Scenario): NullSubscriber[] {
  return Array.from({ length: subscribersPerChannel }, () => {
    const subscriber = new NullSubscriber();
    void hub.join(subscriber, name, filters);
    return subscriber;
  });
}

function itemFor(channel: ChannelName): Publication {
  return {
    channel,
    meta: noMetadata,
    formats: { message: { action: 'send', type: 'text', content: Buffer.from('{"text":"a message"}') } },
  };
}

function total(subscribers: readonly NullSubscriber[]): number {
  return subscribers.reduce((sum, { items }) => sum + items, 0);
}

/** Bytes per subscription: all in one channel, and a channel for each. */
async function weigh(): Promise<void> {
  const { gc } = globalThis;
  if (gc === undefined) return;
  for (const channels of [1, 100_000]) {
    const subscribers = Array.from({ length: 100_000 }, () => new NullSubscriber());
    const names = Array.from({ length: channels }, (_, i) => channelName(`channel-${i}`));
    const hub = newHub();
    await gc({ type: 'major', execution: 'async' }); // oxlint-disable-line no-await-in-loop
    const before = process.memoryUsage().heapUsed;
    for (const [i, subscriber] of subscribers.entries())
      void hub.join(subscriber, names[i % channels] ?? channelName('none'), []);
    await gc({ type: 'major', execution: 'async' }); // oxlint-disable-line no-await-in-loop
    const bytes = process.memoryUsage().heapUsed - before;
    console.log(`100,000 subscriptions in ${channels} channels: ${Math.round(bytes / hub.subscriptionCount)} bytes each`);
  }
}
