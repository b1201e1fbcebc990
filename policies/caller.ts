/** Who is meant by "one caller" where something is counted: `by` of the policies that count. */
import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { Type } from 'typebox';
import { ForegateError } from '../gateway/core/errors.ts';
import { headerValues, isHeaderName, type HeaderList } from '../gateway/core/headers.ts';
import type { ChannelName, SessionId } from '../gateway/core/ids.ts';
import type { Publisher } from '../gateway/core/policy.ts';
import type { Identity, SessionView } from '../gateway/core/session.ts';

/** `key` is the API key that `api-key` has accepted; `subject` whoever any policy has recognised. */
const words = ['session', 'address', 'subject', 'key', 'route', 'channel'] as const;
type Word = (typeof words)[number];

const WordKind = Type.String({ enum: [...words] });
const NamedKind = Type.String({ pattern: '^(claim|header):.+$', examples: ['claim:org', 'header:X-Tenant'] });

/** The option `by`: one kind of caller, or a list of them that make one together. */
export function By(options: { readonly default: string; readonly description: string }) {
  return Type.Union([WordKind, NamedKind, Type.Array(Type.Union([WordKind, NamedKind]), { minItems: 1 })], {
    ...options,
    description: `${options.description} ${kindsText}`,
  });
}

const kindsText =
  '`address`: all from one IPv4 address or one IPv6 /64. `subject`: all that a policy before has recognised as the same (`jwt`, `api-key`). `key`: all with the same key of `api-key`, which may have limits of its own. `claim:NAME`: all whose token has the same value (a text, number or boolean) in this claim. `header:NAME`: all with the same value in this header field; whoever can send it can choose whom to be counted as, so it is safe only for fields that a proxy in front sets and takes from clients. `route`: all together. `session`: each WebSocket has its own. `channel`: all of one channel. A list makes one caller of several, such as `[subject, channel]`. Callers that have not what is asked for, or have the header field twice, are counted by address instead.';

/** What a key is made of. Publishers have no session. */
export interface Caller {
  readonly identity: Identity | undefined;
  readonly address: string;
  readonly headers: HeaderList;
  readonly session?: SessionId;
}

export function callerOf({ id, identity, request }: SessionView): Caller {
  return { identity, address: request.address, headers: request.headers, session: id };
}

export function publishingCaller({ identity, address, headers }: Publisher): Caller {
  return { identity, address, headers };
}

/** A text that is the same for all of one caller. */
export type CallerKey = (caller: Caller, channel?: ChannelName) => string;

/** True if this is one of the kinds that make a caller. */
export function isBy(by: string | readonly string[], kind: Word): boolean {
  return [by].flat().includes(kind);
}

/**
 * @param impossible kinds that make no sense where the key is used, each with the reason
 * @throws ForegateError `bad-request` for those, and for a name of a header field that is none
 */
export function callerKey(by: string | readonly string[], impossible: Readonly<Partial<Record<Word, string>>>): CallerKey {
  const kinds = [by].flat();
  const reason = kinds.flatMap((kind) => impossible[kind as Word] ?? [])[0];
  if (reason !== undefined) throw new ForegateError('bad-request', reason);
  const parts = kinds.map(partOf);
  const [only, ...more] = parts;
  if (only !== undefined && more.length === 0) return (caller, channel) => bounded(only(caller, channel));
  return (caller, channel) => bounded(JSON.stringify(parts.map((part) => part(caller, channel))));
}

/** What clients choose themselves may be long; keys are kept by the hundred thousand. */
function bounded(key: string): string {
  return key.length <= keyCharsMax ? key : `sha256:${createHash('sha256').update(key).digest('base64')}`;
}

const keyCharsMax = 128;

function partOf(kind: string): CallerKey {
  const of = byWord[kind as Word] ?? byName(kind);
  return (caller, channel) => of(caller, channel) ?? `address:${networkOf(caller.address)}`;
}

type Known = (caller: Caller, channel: ChannelName | undefined) => string | undefined;

const byWord: Readonly<Record<Word, Known>> = {
  session: ({ session }) => session && `session:${session}`,
  address: () => undefined,
  subject: ({ identity }) => subjectOf(identity),
  key: ({ identity }) => (identity?.by === 'api-key' ? subjectOf(identity) : undefined),
  route: () => 'route',
  channel: (_caller, channel) => channel && `channel:${channel}`,
};

function subjectOf(identity: Identity | undefined): string | undefined {
  return identity === undefined || identity.subject === '' ? undefined : `${identity.by}:${identity.subject}`;
}

/** @throws ForegateError `bad-request` */
function byName(kind: string): Known {
  const name = kind.slice(kind.indexOf(':') + 1);
  if (kind.startsWith('claim:')) return ({ identity }) => claimOf(name, identity);
  if (!isHeaderName(name)) throw new ForegateError('bad-request', `"${name}" is no name of a header field.`);
  const field = name.toLowerCase();
  return ({ headers }) => fieldOf(field, headers);
}

function claimOf(name: string, identity: Identity | undefined): string | undefined {
  const { claims = {} } = identity ?? {};
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
  const counts = (typeof value === 'string' && value !== '') || typeof value === 'number' || typeof value === 'boolean';
  return counts ? `claim:${String(value)}` : undefined;
}

/** A field that stands twice is not believed: one of the two may be the client's own. */
function fieldOf(name: string, headers: HeaderList): string | undefined {
  const [value, ...more] = headerValues(headers, name);
  return value === undefined || value === '' || more.length > 0 ? undefined : `header:${value}`;
}

/** An IPv4 address as it is; of an IPv6 address its /64, since whoever has one address of it has them all (RFC 6177). */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined || !isIPv6(address)) return mapped ?? address;
  const [head = '', tail] = address.split('%', 1)[0]?.split('::') ?? [];
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.replace(/\d+\.\d+\.\d+\.\d+$/, '0:0').split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - groups.length - after.length) }, () => '0');
  const network = [...groups, ...zeros, ...after].slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::/64`;
}
