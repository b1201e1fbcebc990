/** One item for one channel, and what the hub knows of those who get it. */
import type { HeaderList } from './headers.ts';
import type { ChannelName, SessionId } from './ids.ts';
import type { Metadata } from './session.ts';

/** `ws-message` (GRIP 6.3). */
export type MessageFormat =
  | {
      readonly action: 'send';
      readonly type: 'text' | 'binary' | 'ping' | 'pong';
      readonly content: Buffer;
      readonly contentFilters?: readonly string[];
    }
  | { readonly action: 'close'; readonly code: number; readonly reason: string }
  | { readonly action: 'refresh' }
  | { readonly action: 'hint' };

/** `http-stream` (GRIP 6.3). */
export type StreamFormat =
  | { readonly action: 'send'; readonly content: Buffer; readonly contentFilters?: readonly string[] }
  | { readonly action: 'close' }
  | { readonly action: 'hint' };

/** `http-response` (GRIP 6.3). */
export type ResponseFormat =
  | {
      readonly action: 'send';
      readonly code: number;
      readonly reason?: string;
      readonly headers: HeaderList;
      readonly body:
        { readonly kind: 'bytes'; readonly bytes: Buffer } | { readonly kind: 'patch'; readonly patch: readonly unknown[] };
      readonly contentFilters?: readonly string[];
    }
  | { readonly action: 'hint' | 'close' | 'refresh' };

export interface Publication {
  readonly channel: ChannelName;
  readonly id?: string;
  readonly previousId?: string;
  /** Not to be put in order (`no-seq`). */
  readonly unsequenced?: boolean;
  /** Stated size, for statistics. */
  readonly size?: number;
  readonly meta: Metadata;
  readonly formats: { readonly message?: MessageFormat; readonly stream?: StreamFormat; readonly response?: ResponseFormat };
}

/** How publications become bytes for one way of writing: one object shared by all its subscribers, so each item is encoded once. */
export interface Shape {
  readonly format: keyof Publication['formats'];
  /** False where each item is handed over by `act`: an answer of its own to every subscriber. */
  readonly joins: boolean;
  /** The bytes to write, or undefined where there is nothing to write for this shape. */
  encode(publication: Publication): Buffer | undefined;
  /** The same publication with other content: what filters change for one subscriber. Undefined where it has no content. */
  content(publication: Publication): Buffer | undefined;
  withContent(publication: Publication, content: Buffer): Publication;
}

/** Filters that ask the backend about each item (GRIP 5). */
export type AskingFilter = 'http-check' | 'http-modify';

export interface FilterQuestion {
  readonly filter: AskingFilter;
  readonly publication: Publication;
  /** As the filters before this one made it. Undefined where the item has none, such as a patch. */
  readonly content: Buffer | undefined;
}

/** Bytes stand in place of the content. */
export type FilterAnswer = 'pass' | 'drop' | Buffer;

/** What the hub knows of a session. */
export interface Subscriber {
  readonly id: SessionId;
  readonly shape: Shape;
  /** For filters only. */
  readonly meta: Metadata;
  /** True if it has joined the channel: for `require-sub`. */
  joined(channel: string): boolean;
  /** False where its route does not let filters ask: then they drop every item. */
  readonly asksFilters: boolean;
  /** Rejects where no sound answer came: then the item is dropped. */
  askFilter(question: FilterQuestion): Promise<FilterAnswer>;
  /** A filter could not do its work, so the item is left out. `fault` makes a sentence for those who want to know. */
  filterFailed(fault: () => string): void;
  /**
   * One write for everything of a channel that was joined into `bytes`. False: it was not taken, though it follows the subscriber's
   * current id (`follows`), which therefore stays as it was.
   */
  write(bytes: Buffer, items: number, channel: ChannelName, follows: boolean): boolean;
  /** Actions that are no bytes: close, refresh, hint; and items of shapes that are not joined. */
  act(publication: Publication): void;
  /** An item was published whose previous id is not the subscriber's current one: it is not delivered. */
  missed(channel: ChannelName): void;
}

/** One subscriber's place in a channel; made by the hub. */
export interface Subscription {
  readonly channel: ChannelName;
  readonly subscriber: Subscriber;
  filters: readonly string[];
  /** The id of the last item the subscriber has; undefined: gaps are not looked for (GRIP 4.6). */
  currentId: string | undefined;
}
