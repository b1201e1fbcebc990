/**
 * What a route counts, for `GET /stats` and the metrics under Pushpin's names (GRIP 8.8): plain numbers, added to where something
 * happens. Nobody resets them; whoever wants a rate reads twice.
 */

/** Totals of a route. They only grow. */
export const routeCounters = {
  requestsReceived: 'Requests of clients, WebSocket handshakes included.',
  sent: 'Published items that were written to clients.',
  httpResponseSent: 'Those of them that answered a request on hold.',
  clientMessagesReceived: 'WebSocket messages from clients, pings and pongs included.',
  clientMessagesSent: 'WebSocket messages to clients, published ones included.',
  clientContentBytesReceived: 'Content of messages and request bodies from clients.',
  serverMessagesReceived: 'WebSocket messages from backends, by events or frames.',
  serverMessagesSent: 'WebSocket messages handed on to backends, by events or frames.',
  serverContentBytesReceived: 'Content of messages and of bodies of replies to plain requests.',
  serverContentBytesSent: 'Content of messages and request bodies handed on to backends.',
} as const;

export type RouteCounter = keyof typeof routeCounters;
export type RouteCounts = Record<RouteCounter, number>;

export interface RouteStatistics {
  readonly counts: RouteCounts;
  readonly connections: ConnectionCount;
}

export function newRouteStatistics(nowMs: number): RouteStatistics {
  return { counts: newRouteCounts(), connections: new ConnectionCount(nowMs) };
}

export function newRouteCounts(): RouteCounts {
  return {
    requestsReceived: 0,
    sent: 0,
    httpResponseSent: 0,
    clientMessagesReceived: 0,
    clientMessagesSent: 0,
    clientContentBytesReceived: 0,
    serverMessagesReceived: 0,
    serverMessagesSent: 0,
    serverContentBytesReceived: 0,
    serverContentBytesSent: 0,
  };
}

/** The length of an interval for the highest number at once: that of Pushpin's reports. */
export const intervalSeconds = 10;

/**
 * Clients that are connected: how many, the most at once, and their minutes, rounded up for each. Made without a timer and without
 * looking at the clients: they are counted by the second of the minute in which they came, and that is when their next minute begins.
 */
export class ConnectionCount {
  #open = 0;
  #minutes = 0;
  /** Up to here the minutes are counted. */
  #second: number;
  readonly #bySecond = new Uint32Array(60);
  #interval: number;
  #highest = 0;
  #highestBefore = 0;

  constructor(nowMs: number) {
    this.#second = secondOf(nowMs);
    this.#interval = intervalOf(this.#second);
  }

  get open(): number {
    return this.#open;
  }

  minutes(nowMs: number): number {
    this.#goOnTo(nowMs);
    return this.#minutes;
  }

  /** The most at once in this interval and the one before. */
  highest(nowMs: number): number {
    this.#goOnTo(nowMs);
    return Math.max(this.#highest, this.#highestBefore);
  }

  opened(nowMs: number): void {
    this.#goOnTo(nowMs);
    this.#add(nowMs, 1);
    this.#minutes += 1;
    if (this.#open > this.#highest) this.#highest = this.#open;
  }

  /** `openedMs` as it was told at the opening. */
  closed(openedMs: number, nowMs: number): void {
    this.#goOnTo(nowMs);
    this.#add(openedMs, -1);
  }

  #add(openedMs: number, by: 1 | -1): void {
    const place = secondOf(openedMs) % 60;
    this.#bySecond[place] = (this.#bySecond[place] ?? 0) + by;
    this.#open += by;
  }

  /** A clock that is set back stands still here. */
  #goOnTo(nowMs: number): void {
    const second = secondOf(nowMs);
    if (second <= this.#second) return;
    if (this.#open > 0) this.#minutes += this.#begunUntil(second);
    this.#second = second;
    this.#beginInterval(intervalOf(second));
  }

  /** Minutes that began after {@link #second}. */
  #begunUntil(second: number): number {
    const elapsed = second - this.#second;
    let begun = Math.floor(elapsed / 60) * this.#open;
    for (let at = second - (elapsed % 60) + 1; at <= second; at += 1) begun += this.#bySecond[at % 60] ?? 0;
    return begun;
  }

  #beginInterval(interval: number): void {
    if (interval === this.#interval) return;
    this.#highestBefore = interval === this.#interval + 1 ? this.#highest : this.#open;
    this.#highest = this.#open;
    this.#interval = interval;
  }
}

function secondOf(ms: number): number {
  return Math.floor(ms / 1000);
}

function intervalOf(second: number): number {
  return Math.floor(second / intervalSeconds);
}
