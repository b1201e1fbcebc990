/**
 * Carries publications to every process that wants their channel, the sender's own included: at most once each, in order per
 * channel and sender; and notices to every process. Made with its receiver; never throws at a sender because an engine is away.
 */
import type { ChannelName } from './ids.ts';
import type { MaybePromise } from './promise.ts';
import type { Publication } from './publication.ts';
import type { Revocation } from './revocation.ts';

/** What all processes do when one of them was told to, or what all have to know. */
export type Notice =
  | { readonly kind: 'revoke'; readonly revocation: Revocation }
  | { readonly kind: 'recover' }
  | { readonly kind: 'refresh-channel'; readonly channel: ChannelName }
  /** An item that this process did not get, since it did not want its channel. A bus may say so; nobody tells it. */
  | { readonly kind: 'passed'; readonly channel: ChannelName; readonly id?: string };

export interface BusReceiver {
  deliver(publication: Publication): void;
  /** Of other processes: the sender has done for itself what it tells. */
  notice(notice: Notice): void;
}

export interface Bus {
  /** Resolved when handed over. */
  publish(publication: Publication): MaybePromise<void>;
  /** First subscriber came, last one left; resolved when nothing from now on is missed. */
  want(channel: ChannelName, wanted: boolean): MaybePromise<void>;
  /** To all other processes, once each, in order per sender. */
  tell(notice: Notice): void;
  close(): Promise<void>;
}

/** A bus outside of the process, which may be away. Then only this process gets what it publishes. */
export interface SharedBus extends Bus {
  /** Connects; resolves also if it is away. @throws Error with what to install */
  open(): Promise<void>;
  readonly away: boolean;
}
