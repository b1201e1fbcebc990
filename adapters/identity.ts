/** Who the caller is, where the gateway, or the backend behind it, says so in fields of its replies. */
import type { AdapterSettings } from '../gateway/core/adapter.ts';
import type { Reply } from '../gateway/core/exchange.ts';
import { headerValues, type HeaderList } from '../gateway/core/headers.ts';
import type { Profile } from '../gateway/core/profile.ts';
import type { Identity, SessionView } from '../gateway/core/session.ts';
import { cacheSign } from '../gateway/wire/cached-reply.ts';
import { isInstruct } from '../gateway/wire/grip-headers.ts';

export interface IdentityReading extends Pick<Profile, 'identify'> {
  /** Where it stands, in lower case: nothing that a client sends or sees. */
  readonly hidden: readonly string[];
}

type IdentityFields = NonNullable<AdapterSettings['identity']>;

export function identityReading(settings: AdapterSettings): IdentityReading {
  const { identity: names, use } = settings;
  if (names === undefined) return { hidden: [] };
  const { subject, groups, claims } = names;
  const written = [subject, groups, ...Object.values(claims)];
  const hidden = written.flatMap((name) => (name === undefined ? [] : [name.toLowerCase()]));
  return { hidden, identify: identifier(names, `adapter ${use}`) };
}

/** What was read last, and what it was added to. */
interface Known {
  readonly said: Said;
  /** As a policy vouches for it; undefined: none does. */
  readonly vouched: Identity | undefined;
  readonly identity: Identity | undefined;
}

interface Said {
  readonly subject: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
}

function identifier(names: IdentityFields, by: string): NonNullable<Profile['identify']> {
  const known = new WeakMap<SessionView, Known>();
  return (session, reply) => {
    if (!isAboutSession(session, reply)) return false;
    const before = known.get(session);
    const said = latest(read(names, reply.headers), before?.said);
    const isOurs = before !== undefined && session.identity === before.identity;
    if (isOurs && JSON.stringify(said) === JSON.stringify(before.said)) return false;
    const vouched = isOurs ? before.vouched : session.identity;
    const identity = together(vouched, said, by);
    known.set(session, { said, vouched, identity });
    session.identity = identity;
    return identity !== undefined;
  };
}

/** A plain answer is the end of its session, and what a cache hands out may be about somebody else. */
function isAboutSession({ transport, request }: SessionView, { status, headers }: Reply): boolean {
  if (transport === 'request' && (request.gripInFront === true || !isInstruct(headers))) return false;
  return (status === 101 || (status >= 200 && status < 300)) && cacheSign(headers) === undefined;
}

/** A reply that is silent takes nothing back. */
function latest(now: Said, before: Said | undefined): Said {
  if (before === undefined) return now;
  return { subject: now.subject ?? before.subject, claims: { ...before.claims, ...now.claims } };
}

/** A policy has checked what it says; the gateway only adds to that. */
function together(vouched: Identity | undefined, { subject, claims }: Said, by: string): Identity | undefined {
  if (vouched !== undefined && Object.keys(claims).length === 0) return vouched;
  if (vouched !== undefined) return { ...vouched, claims: { ...claims, ...vouched.claims } };
  return subject === undefined ? undefined : { subject, by, claims };
}

function read({ subject, groups, claims }: IdentityFields, headers: HeaderList): Said {
  const all: Record<string, unknown> = {};
  for (const [claim, name] of Object.entries(claims)) {
    const value = only(headers, name);
    if (value !== undefined) all[claim] = value;
  }
  const list = groups === undefined ? [] : headerValues(headers, groups.toLowerCase());
  if (list.length > 0) all['groups'] = members(list);
  return { subject: subject === undefined ? undefined : only(headers, subject), claims: all };
}

/** Longer ones are nobody's name. */
const valueLength = 1024;

/** Two that differ say nothing. */
function only(headers: HeaderList, name: string): string | undefined {
  const [first, ...others] = new Set(headerValues(headers, name.toLowerCase()).map((value) => value.trim()));
  return others.length === 0 && isText(first) ? first : undefined;
}

function isText(value: string | undefined): value is string {
  return value !== undefined && value !== '' && value.length <= valueLength && !/\p{Cc}/u.test(value);
}

const groupCount = 100;

function members(values: readonly string[]): string[] {
  const names = values.flatMap((value) => value.split(',')).map((name) => name.trim());
  return [...new Set(names.filter(isText))].slice(0, groupCount);
}
