/**
 * The package entry `foregate/express`: what a backend behind Foregate or Pushpin uses. Despite its name it imports no Express:
 * the middleware fits Express, Connect and bare `node:http`.
 */
export { webSocketEvents } from './event-middleware.ts';
export type { EventHandlers, EventMiddleware, EventOptions, SignatureOptions } from './event-middleware.ts';
export type { BackendSocket, MissedSocket, OpenOptions, SubscribeOptions, ToClientLater } from './backend-socket.ts';
export type { MessageTypes, RawMessage, RawMessages } from './message-types.ts';
export type { SessionMeta } from './session-meta.ts';
export { verifyGripSig } from './grip-sig.ts';
export type { GripSigClaims, GripSigOptions, GripSigResult } from './grip-sig.ts';
export { createPublisher, PublishError } from './publisher.ts';
export type { Publisher, PublisherOptions, PublishItem, PublishResponse } from './publisher.ts';
export type { KeyInput, SigningAlgorithm } from './signing-key.ts';
export { parseGripUrl } from './grip-url.ts';
export type { GripUrl, PublisherAuth } from './grip-url.ts';
