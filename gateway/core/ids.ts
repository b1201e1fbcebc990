/** The strings that mean something: branded, so one cannot be handed over for another, and made by one checking function each. */
import { randomUUID } from 'node:crypto';
import { ForegateError } from './errors.ts';
import { limits } from './limits.ts';

declare const brand: unique symbol;
type Brand<Name extends string> = string & { readonly [brand]: Name };

/** The id of a session, sent downstream as `Connection-Id`: a UUID v4 in lower case. */
export type SessionId = Brand<'session'>;
/** The id of a route, unique in a configuration. */
export type RouteId = Brand<'route'>;
/** The name of a channel: any non-empty text of at most {@link limits.channelNameBytes} bytes without control characters. */
export type ChannelName = Brand<'channel'>;

export function newSessionId(): SessionId {
  return randomUUID() as SessionId;
}

/** Takes a string from outside for a session id; whether such a session exists is another question. */
export function sessionId(text: string): SessionId {
  return text as SessionId;
}

export function routeId(text: string): RouteId {
  return text as RouteId;
}

const controlCharacter = /\p{Cc}/u;

/** True for a name that {@link channelName} would take. */
export function isChannelName(text: string): text is ChannelName {
  return (
    text.length > 0 &&
    text.length <= limits.channelNameBytes &&
    !controlCharacter.test(text) &&
    Buffer.byteLength(text) <= limits.channelNameBytes
  );
}

/** @throws ForegateError `bad-request` for an empty name, one that is too long, or one with control characters. */
export function channelName(text: string): ChannelName {
  if (!isChannelName(text)) {
    throw new ForegateError(
      'bad-request',
      `A channel name must have 1 to ${limits.channelNameBytes} bytes and no control characters.`,
    );
  }
  return text;
}
