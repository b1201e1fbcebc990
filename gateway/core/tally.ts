/** What one connection carries, counted for its line in the log where the route wants one. */
export interface Tally {
  messagesIn: number;
  /** Content of messages and of the request's body. */
  bytesIn: number;
  /** Messages and published items. */
  messagesOut: number;
  /** What was written to the client: the body, or frames with their heads. */
  bytesOut: number;
  /** Requests downstream; one that is sent again is one. */
  requests: number;
  /** Who ended it; undefined: a plain answer that is complete. */
  by: EndedBy | undefined;
}

export type EndedBy = 'client' | 'backend' | 'publisher' | 'foregate';

export function newTally(): Tally {
  return { messagesIn: 0, bytesIn: 0, messagesOut: 0, bytesOut: 0, requests: 0, by: undefined };
}

export function countSent(tally: Tally, messages: number, bytes: number): void {
  tally.messagesOut += messages;
  tally.bytesOut += bytes;
}
