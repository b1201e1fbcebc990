/** Counters of the program by name. The table is the reference of `docs/metrics.md`. */
export const counters = {
  sessions_opened: 'Sessions that were accepted.',
  sessions_refused: 'Handshakes that were refused by a policy, the gateway or the backend.',
  messages_received: 'Messages from clients.',
  messages_sent: 'Messages written to clients, published ones included.',
  messages_dropped: 'Messages from clients, or from a WebSocket backend, that a policy or a fault dropped.',
  exchanges: 'Requests with events that were answered.',
  exchanges_failed: 'Requests with events that failed.',
  exchange_retries: 'Requests with events that were sent again.',
  publications: 'Items that were published.',
  publications_refused: 'Items that came over ZeroMQ and were not valid or not allowed: nobody could be told.',
  publications_dropped:
    'Published items that came a second time, out of order where no more could wait, or that a policy dropped.',
  deliveries: 'Items handed to subscribers.',
  deliveries_dropped: 'Items a subscriber did not get: it was too slow, a filter failed, or they did not fit.',
  filter_requests: 'Requests that the filters `http-check` and `http-modify` made.',
  filter_requests_failed: 'Questions of these filters that got no sound answer.',
  subscriptions_refused: 'Subscriptions refused by a policy or over the limit.',
  policy_denials: 'Times a policy denied.',
  policy_dry_run_denials: 'Times a policy in dry run would have denied.',
  policy_errors: 'Times a policy threw.',
  circuit_refusals: 'Requests that were not sent since the circuit of their target was open.',
  target_overloads: 'Requests that were not sent since too many to their target were in flight and waited.',
  store_misses: 'Times the store did not count: it was away or did not answer in time, and `store.whenAway` decided.',
  bus_misses: 'Items and notices that did not go to other machines: the bus was away, had no room, or they were too large.',
  bus_ignored: 'Messages on the bus that were not understood.',
} as const;

/** Likewise, with a label for the route: there are as many as the configuration names, while channels are for clients to name. */
export const routeCounters = {
  slow_client_drops: 'Items left out since a client read too slowly, by `route`; by channel in `GET /channels`.',
} as const;

export type CounterName = keyof typeof counters | keyof typeof routeCounters;

export interface Metrics {
  /** `route` for those that have the label. */
  count(name: CounterName, by?: number, route?: string): void;
}

export const noMetrics: Metrics = { count: () => {} };
