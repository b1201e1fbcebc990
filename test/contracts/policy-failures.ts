/** Things that a policy may need and that fail it: whoever cannot decide must refuse. */
import type { Store } from '../../gateway/core/store.ts';
import type { PlayTerms, RecordedEvent } from '../../gateway/testing/index.ts';

interface Failure {
  readonly terms: PlayTerms;
  readonly spoilt: readonly RecordedEvent[];
  /** Whether the policy has asked for what fails. */
  readonly needed: () => boolean;
}

export const failures: Readonly<Record<string, (events: readonly RecordedEvent[]) => Failure>> = {
  'the store throws': (events) => withStore(events, () => failing()),
  'the store rejects': (events) => withStore(events, () => Promise.reject(new Error('out of order'))),
  'a request cannot be read': (events) => {
    const { value, touched } = untouchable();
    const spoil = (event: RecordedEvent): RecordedEvent =>
      event.kind === 'connect' ? { ...event, request: { ...event.request, headers: value as string[] } } : event;
    return { terms: {}, spoilt: events.map(spoil), needed: touched };
  },
  'a message cannot be read': (events) => {
    const { value, touched } = untouchable();
    const message = { kind: 'text', data: value as Buffer } as const;
    return {
      terms: {},
      spoilt: events.map((event) => (event.kind === 'message' ? { ...event, message } : event)),
      needed: touched,
    };
  },
};

function withStore(events: readonly RecordedEvent[], fail: () => unknown): Failure {
  let asked = false;
  const method = (): unknown => ((asked = true), fail());
  return { terms: { store: new Proxy({}, { get: () => method }) as Store }, spoilt: events, needed: () => asked };
}

/** A thing that fails whatever is done with it, and remembers that it was tried. */
function untouchable(): { readonly value: unknown; readonly touched: () => boolean } {
  let touched = false;
  const touch = (): never => ((touched = true), failing());
  return { value: new Proxy([], { get: touch, has: touch, ownKeys: touch }), touched: () => touched };
}

function failing(): never {
  throw new Error('out of order');
}
