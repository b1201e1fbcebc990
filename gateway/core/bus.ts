/**
 * Carries publications to every process that wants their channel, the sender's own included: at most once each, in order per
 * channel and sender; and notices to every process. Made with its receiver; never throws at a sender because an engine is away.
 */
import type { ChannelName } from './ids.ts';
import type { MaybePromise } from './promise.ts';
import type { Publication } from './publication.ts';
import type { Revocation } from './revocation.ts';

/** What all processes do when one of them was told to. */
export type Notice =
  | { readonly kind: 'revoke'; readonly revocation: Revocation }
  | { readonly kind: 'recover' }
  | { readonly kind: 'refresh-channel'; readonly channel: ChannelName };

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
