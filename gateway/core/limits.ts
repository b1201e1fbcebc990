/**
 * Every default maximum of the program, with its reason. What a route may change is listed in the configuration reference
 * (`limits` of a route); what stands here alone is fixed.
 */
export const limits = {
  /** Request line and header fields of a client. Node refuses more with 431. */
  headerBytes: 16_384,
  /** Header fields of a client request: room for every browser and proxy, small enough to stay cheap. */
  headerFields: 64,
  /** Bytes of client content that wait for the backend, per session; then reading pauses (GRIP: 200000). */
  queueBytes: 200_000,
  /** Events of one session that wait for the backend, since those without content have no bytes to count. */
  queueEvents: 10_000,
  /** One message from a client; a larger one closes the session with 1009 (GRIP: below 200000). */
  messageBytes: 199_999,
  /** Levels of a message that is checked by a schema: one that refers to itself needs stack for each. */
  checkedDepth: 100,
  /** Bytes towards a client that it has not taken; above it no next request starts (GRIP: 200000). */
  unsentBytes: 200_000,
  /** Of those, what its socket is handed: what is published beyond it waits in the session, where it can still be left out. */
  handedBytes: 65_536,
  /** Writes that wait so, since small ones cost more than their bytes. */
  backlogWrites: 4096,
  /** So long a slow client must have lost nothing before the log calls its slow time over: two lines in it at most. */
  slowQuietMs: 10_000,
  /** Body of one reply of a backend. */
  replyBytes: 1_000_000,
  /** Body of a refused handshake that is passed on to the client. */
  refusalBytes: 100_000,
  /** Channels one session may have joined (GRIP: 20). */
  subscriptions: 20,
  /** Filters of one subscription (GRIP: 5). */
  filters: 5,
  /** A control message of a backend in the socket. */
  controlMessageBytes: 65_536,
  /** A channel name, in UTF-8. */
  channelNameBytes: 1024,
  /** Items of metadata of one session, and the length of one. */
  metadataItems: 64,
  metadataBytes: 4096,
  /** Body of a call to the control API (GRIP: 1000000). */
  publishBytes: 1_000_000,
  /** Items of one publish call: a longer list would hold up everybody else. */
  publishItems: 10_000,
  /** Connections to the control API at once (GRIP: 128). */
  controlConnections: 128,
  /** Levels of a tnetstring: a `body-patch` may have 100, in an item of a command. */
  tnetstringDepth: 128,
  /** Messages that a ZeroMQ socket keeps for each peer, as ZeroMQ itself does; then the peer has to wait, or drops its own. */
  zeroMqWaiting: 1000,
  /** Messages of a ZeroMQ socket that are taken before timers and other sockets get their turn. */
  zeroMqBurst: 64,
  /** Connections to the port for metrics at once: it has a reader or two. */
  metricsConnections: 32,
  /** Sessions of this process; further handshakes get 503. */
  sessions: 50_000,
  /** Body of a reply with GRIP instructions, and of a request that may be made again (GRIP: 100000). */
  instructBytes: 100_000,
  /** So long a channel whose last subscriber has left is remembered: a client that polls comes back (GRIP: 60 s). */
  lingerMs: 60_000,
  /** Channels that are remembered so; further ones are forgotten at once. */
  lingering: 100_000,
  /** So long at least it is known when a channel had an item: longer than a backend should take to answer. */
  lastItemsMs: 60_000,
  /** Channels of which that is known, about 100 bytes each; over it the oldest are forgotten early. */
  lastItems: 200_000,
  /** Requests at once that go on with holds; the others wait their turn. */
  linksAtOnce: 64,
  /** A link inside a socket: what every server takes in a request line. */
  linkBytes: 4096,
  /** An id of an item in a subscription, and the last id a client says it has: it goes on in a header field. */
  lastIdBytes: 1024,
  /** Other origins that links may lead to. */
  linkOrigins: 16,
  /** So long a filter waits for its answer (GRIP: 10 s), and the body of that (GRIP: 100000). */
  filterTimeoutMs: 10_000,
  filterReplyBytes: 100_000,
  /** Requests of the filters of one route that wait or are in flight; the items of further ones are dropped. */
  filterRequests: 10_000,
  /** Connections to one target; further exchanges wait for a free one. */
  targetConnections: 512,
  /** Where an adaptive limit of requests in flight begins: low enough for small backends, and it doubles with each round at first. */
  inFlightMin: 10,
  /** Calls that may wait for a free connection to one target; further ones fail as overloaded. */
  targetWaiting: 100_000,
  /** Bytes a client may send before its handshake is answered; then its socket is not read on. */
  earlyBytes: 65_536,
  /** A token or key of a client: three times the longest token seen in use; longer ones are refused unread. */
  credentialBytes: 8192,
  /** Calls at once to one server that says who a client is; after a restart everybody comes at once. */
  authCalls: 256,
  /** Calls that wait for their turn there; further clients are refused as long as these wait. */
  authWaiting: 10_000,
  /** What such a call repeats of the client's request: below the 16 KB of header fields that servers take. */
  authQuestionBytes: 12_288,
  /** Body of such an answer: a page that says no, or the claims of a token. */
  authBodyBytes: 16_384,
  /** Answers, and checked passwords, that one policy remembers; over it the oldest are forgotten. */
  authAnswers: 10_000,
  /** Passwords that wait to be hashed, one after the other; further clients are refused as long as these wait. */
  passwordChecks: 256,
  /** Keys a key set may hold; the rest is not read. */
  keySetKeys: 100,
  keySetBytes: 262_144,
  /** A file of API keys: about 8,000. To read a larger one would hold up everybody else. */
  keyFileBytes: 1_048_576,
  /** Revocations that are remembered at a time, about 200 bytes each; further ones are refused, since none may be forgotten early. */
  revocations: 100_000,
  /** Keys the store in memory counts apart (about 400 bytes each); further ones share one budget until windows end. */
  storeKeys: 100_000,
  /** A SockJS client hears something at least so often, for proxies that cut quiet connections (SockJS: 25 s). */
  sockJsHeartbeatMs: 25_000,
  /** So long a SockJS client may go without asking for more; then it is gone. Its last frame is repeated so long, too (SockJS: 5 s). */
  sockJsAwayMs: 5000,
  /** Messages of one SockJS body or frame: as many as may wait for the backend. */
  sockJsMessages: 10_000,
  /** Bodies of one SockJS session that are read or wait at once; clients send one after the other. */
  sockJsSends: 8,
  /** How long one of them may take to come in. */
  sockJsSendMs: 30_000,
  /** Bytes of one answer that streams; then the client asks again, since it keeps what it has read (SockJS: 128 KiB). */
  sockJsStreamBytes: 131_072,
  /** SockJS sessions that are over and whose last frame is repeated; those over it are forgotten at once. */
  sockJsEnded: 10_000,
  /** Certificates of a folder that are kept ready (about 50 kB each); further ones are read again when asked for. */
  certificates: 1000,
  /** Requests and WebSockets at once on one HTTP/2 connection (RFC 9113 section 6.5.2: not below 100). */
  http2Streams: 128,
  /** Header fields of an HTTP/2 request before cookies are joined: browsers send each cookie in a field of its own. */
  http2Fields: 256,
  /** The longest that a limit keeps a client waiting; who would have to wait longer is closed. */
  delayMs: 30_000,
  /** Leases the store in memory gives: about as many connections as a process can have, times the policies that count them. */
  storeLeases: 1_000_000,
  /** A policy in dry run has one line in the log in this time for each kind of verdict: it may speak for every message. */
  dryRunLogMs: 10_000,
  /** Takes that one call to a store outside asks for: it does them in one go, and others wait for it meanwhile. */
  storeBatch: 256,
  /** Takes that such a store has not answered; for further ones it counts as away. As many leases; further ones are refused. */
  storeWaiting: 10_000,
  /** A configuration file, or one file of an API document; larger ones are neither. */
  sourceBytes: 4_000_000,
  /** Files that one API document may be made of, itself included. */
  documentFiles: 256,
  /** Levels to which a document's `$ref`s are replaced by what they lead to; below them they stay. */
  followedLevels: 150,
  /** Levels of a document, with what its `$ref`s lead to: each needs stack wherever it is gone through. */
  documentLevels: 300,
  /** Levels of a schema in one, `$ref`s counted: each is a call inside another where it is read and compiled. */
  schemaDepth: 100,
  /** How long one of them may take to come over the network. */
  documentFetchMs: 10_000,
  /** Compiled schemas of documents and files that are kept for the next that is the same, and the longest of them. */
  compiledSchemas: 1000,
  compiledSchemaChars: 4096,
  /** Worker processes of one program. */
  workers: 64,
  /** How long a worker waits for the primary: for a count, a lease, or a publication that is passed on. */
  ipcMs: 5000,
  /** How long the other workers may take to answer what the control API of one asks; then it answers without them. */
  askMs: 1000,
  /** Bytes of publications on their way to one worker; further ones are dropped for it, since it does not read. */
  ipcBytes: 67_108_864,
  /** Before a worker that ended is replaced: at first, and at most when replacements keep ending. */
  restartMs: 100,
  restartMaxMs: 10_000,
  /** How long a worker may take to start or to take up a new configuration; then it is ended and replaced. */
  workerReplyMs: 60_000,
  /** One item or notice on its way to other machines, three contents of a publish call at most; larger ones stay here. */
  busMessageBytes: 16_777_216,
  /** Bytes that the bus has been given and has not taken; further items do not go to other machines. */
  busUnsentBytes: 67_108_864,
  /** Revocations that wait for the bus to come back. */
  busUntold: 10_000,
  /** How long a peer may take for its part of a closing handshake. */
  closeTimeoutMs: 10_000,
  /** Subscribers served before timers and sockets get their turn. */
  fanOutSlice: 256,
  /** Publications that wait for a channel's current round; the oldest is dropped and counted. */
  channelPending: 10_000,
  /** Their content, likewise: large items must not fill the memory while a slow round goes on. */
  channelPendingBytes: 16_777_216,
  /** Bytes that are joined into one write per subscriber, the last item not counted. */
  joinedBytes: 65_536,
  /** Publications that wait for one subscriber while a body is on its way to it, or a filter asks; further ones are dropped (GRIP: 100). */
  heldItems: 100,
  /** So long an item with an id is known, and a second one with it is dropped (GRIP: 60 s). */
  duplicateMemoryMs: 60_000,
  /** Lists of policies of which one is enough. */
  alternatives: 16,
  /** Ids known at a time, about 150 bytes each; over it the oldest are forgotten early. */
  duplicateIds: 1_000_000,
  /** So long an item waits for the one before it (GRIP: 5 s). */
  sequenceWaitMs: 5000,
  /** Items of one channel that wait for others; further ones are dropped (GRIP: 100). */
  sequenceWaiting: 100,
  /** Channels whose last id is known (GRIP: 1000000); items of further ones are not put in order. */
  lastIds: 1_000_000,
} as const;

/** What a route may set for its sessions; see `limits` in the configuration reference. */
export interface RouteLimits {
  readonly messageBytes: number;
  readonly queueBytes: number;
  readonly unsentBytes: number;
  readonly replyBytes: number;
  readonly refusalBytes: number;
  readonly subscriptions: number;
}
