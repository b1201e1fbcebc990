/** The bus of a single process: every publication goes straight to its hub, and there is nobody else to be told anything. */
import type { Bus, BusReceiver } from '../core/bus.ts';

export function createLocalBus(receiver: BusReceiver): Bus {
  return {
    publish: (publication) => receiver.deliver(publication),
    want: () => {},
    tell: () => {},
    close: () => Promise.resolve(),
  };
}
