/**
 * The bus of one worker: every publication goes to the primary and comes back from there, also to the worker that sent it, so that
 * all workers have the items of a channel in one order.
 */
import type { Bus, BusReceiver } from '../core/bus.ts';
import type { ChannelName } from '../core/ids.ts';
import type { ClusterMember } from './cluster-member.ts';
import { bytesOf } from './publication-bytes.ts';

export function createClusterBus(member: ClusterMember, receiver: BusReceiver): Bus {
  /** Channels that are wanted; with a promise until the primary knows. */
  const wanted = new Map<ChannelName, Promise<void> | undefined>();

  const ask = (channel: ChannelName): Promise<void> => {
    const settled = (known: boolean) => (): void => {
      if (wanted.get(channel) !== granted) return;
      if (known) wanted.set(channel, undefined);
      else wanted.delete(channel); // The next one asks again.
    };
    const granted = member.call('want', { channel, wanted: true });
    wanted.set(channel, granted);
    granted.then(settled(true), settled(false));
    return granted;
  };

  member.receive(receiver);
  return {
    /** Resolved when every worker that wants the channel has it before anything that is published later. */
    publish: (publication) => member.call('publish', { publication }, bytesOf(publication)),
    want(channel, wants) {
      if (wants) return wanted.has(channel) ? wanted.get(channel) : ask(channel);
      wanted.delete(channel);
      return member.call('want', { channel, wanted: false });
    },
    tell: (notice) => member.say({ kind: 'tell', notice }),
    close: () => Promise.resolve(),
  };
}
