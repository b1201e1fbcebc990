/**
 * Carries publications to every process that wants their channel, the sender's own included: at most once each, in order per
 * channel and sender. Made with its receiver; never throws at a publisher because an engine is away.
 */
import type { ChannelName } from './ids.ts';
import type { MaybePromise } from './promise.ts';
import type { Publication } from './publication.ts';

export interface Bus {
  /** Resolved when handed over. */
  publish(publication: Publication): MaybePromise<void>;
  /** First subscriber came, last one left; resolved when nothing from now on is missed. */
  want(channel: ChannelName, wanted: boolean): MaybePromise<void>;
  close(): Promise<void>;
}

export type Deliver = (publication: Publication) => void;
