/** How events travel in HTTP to the backend. Pure: no clock, no network. */
import type { Batch, Decoded, Reply, RequestDraft } from './exchange.ts';
import type { SessionView } from './session.ts';

export interface Dialect {
  readonly name: string;
  /** True for the media type of a reply that this dialect may read; anything else is a refusal or a fault, whoever sent it. */
  speaks(reply: Reply): boolean;
  /** The dialect's own method, header fields and body; the session's head is put before them. */
  encode(batch: Batch, session: SessionView): Pick<RequestDraft, 'method' | 'headers' | 'body'>;
  /** @throws ForegateError `bad-reply` */
  decode(reply: Reply, batch: Batch, session: SessionView): Decoded;
}
