/**
 * Changes what goes on to the backend: header fields and query parameters, with claims in them, and credentials that stand where
 * the backend does not look. Names are compared as `request-head.ts` does it: backends may take `X_User` for `X-User`.
 */
import { Type, type Static } from 'typebox';
import { ForegateError } from '../gateway/core/errors.ts';
import {
  fields,
  isHeaderName,
  isHeaderValue,
  isHopByHop,
  normalName,
  withoutHeaders,
  type HeaderDraft,
} from '../gateway/core/headers.ts';
import { definePolicy, deny, type Policy } from '../gateway/core/policy.ts';
import type { Denial, Identity, SessionView } from '../gateway/core/session.ts';
import { claimText, placeholders, type ClaimText } from './claim-text.ts';
import { findCredential } from '../gateway/core/credential.ts';

const Name = (description?: string) => Type.String({ minLength: 1, ...(description !== undefined && { description }) });

const Changes = (what: string, description: string) =>
  Type.Object(
    {
      remove: Type.Array(Name(), { default: [], description: `Names of ${what} that do not go on.` }),
      rename: Type.Record(Type.String(), Name('The new name.'), {
        default: {},
        description: `New names of ${what}, by the old ones. What came under a new name does not go on.`,
      }),
      set: Type.Record(Type.String(), Type.String({ description: 'The value.' }), {
        default: {},
        description: `Values of ${what}, by name, in place of what came under the name. In a value ${placeholders} stand for what they say; without all of it there is nothing under the name.`,
      }),
    },
    { additionalProperties: false, default: {}, description },
  );

const TransformOptions = Type.Object(
  {
    headers: Changes(
      'header fields',
      'Changes of header fields, in requests with events too. Not to be changed are `Host`, `CDN-Loop`, what frames and describes the body (`Accept`, `Content-*`), what belongs to one connection, `Connection-Id`, `Keep-Alive-Interval`, `Grip-*`, `Meta-*`, `Set-Meta-*` and `Sec-WebSocket-*`.',
    ),
    query: Changes('query parameters', 'Changes of query parameters, after `path` of the route; what stays keeps its bytes.'),
    move: Type.Array(
      Type.Object(
        {
          from: Type.Object(
            {
              query: Type.Optional(Name('A query parameter.')),
              cookie: Type.Optional(Name('A cookie.')),
              subprotocol: Type.Optional(
                Name('A WebSocket subprotocol: the client offers this name and then the credential, or `name.credential`.'),
              ),
            },
            {
              additionalProperties: false,
              minProperties: 1,
              maxProperties: 1,
              description: 'Where the client puts the credential; it does not go on there.',
            },
          ),
          to: Name("The header field that it goes on in, in place of the client's own."),
          prefix: Type.String({ default: '', description: 'What stands before it in the field: `Bearer ` for `Authorization`.' }),
        },
        { additionalProperties: false },
      ),
      {
        default: [],
        description:
          'Credentials that go on in a header field. A client without one goes on without it; two different ones under one name are refused, and so is one with control characters, with status 400.',
      },
    ),
  },
  { additionalProperties: false },
);
type TransformOptions = Static<typeof TransformOptions>;

export const transform = definePolicy({
  name: 'transform',
  summary: 'Changes header fields and query parameters of what goes on to the backend.',
  options: TransformOptions,
  create(options): Policy {
    checkNames(options);
    const headers = changes(options.headers, normalName, isHeaderText);
    const query = changes(options.query, (name) => name, isPlainText);
    const moved = new WeakMap<SessionView, HeaderDraft>();
    return {
      connect(session) {
        for (const move of options.move) {
          const found = moveCredential(session, move);
          if ('kind' in found) return found;
          if (found.length > 0) moved.set(session, [...(moved.get(session) ?? []), ...found]);
        }
        return undefined;
      },
      request(session, draft) {
        const { identity } = session;
        const setFields = headers === undefined ? [] : valuesOf(headers, identity);
        const setParameters = query === undefined ? [] : valuesOf(query, identity);
        if (setFields === 'unfit' || setParameters === 'unfit') return unfit;
        if (headers !== undefined) draft.headers = [...changedFields(draft.headers, headers), ...setFields];
        if (query !== undefined) draft.path = changedPath(draft.path, query, setParameters);
        const credentials = moved.get(session);
        if (credentials !== undefined) draft.headers = withCredentials(draft.headers, credentials);
        return undefined;
      },
    };
  },
});

const unfit = deny('bad-request', 'The token has a value that cannot be sent on.');

interface ChangeSet {
  readonly removed: ReadonlySet<string>;
  readonly renamed: ReadonlyMap<string, string>;
  readonly set: readonly (readonly [name: string, value: ClaimText])[];
  readonly key: (name: string) => string;
  readonly fits: (value: string) => boolean;
}

/** Undefined where there is nothing to do. */
function changes(
  { remove, rename, set }: TransformOptions['headers'],
  key: ChangeSet['key'],
  fits: ChangeSet['fits'],
): ChangeSet | undefined {
  const written = [...Object.values(rename), ...Object.keys(set)];
  if (remove.length + written.length === 0) return undefined;
  const bad = Object.entries(set).find(([, value]) => !fits(value));
  if (bad !== undefined) throw wrong(`The value of ${JSON.stringify(bad[0])} has characters that cannot be sent.`);
  return {
    removed: new Set([...remove, ...written].map(key)),
    renamed: new Map(Object.entries(rename).map(([from, to]) => [key(from), to])),
    set: Object.entries(set).map(([name, value]) => [name, claimText(value)]),
    key,
    fits,
  };
}

/** Names and values in turn. */
function valuesOf({ set, fits }: ChangeSet, identity: Identity | undefined): HeaderDraft | 'unfit' {
  const values: HeaderDraft = [];
  for (const [name, text] of set) {
    const value = text(identity);
    if (value === undefined) continue;
    if (!fits(value)) return 'unfit';
    values.push(name, value);
  }
  return values;
}

function changedFields(headers: readonly string[], { removed, renamed, key }: ChangeSet): HeaderDraft {
  const kept: HeaderDraft = [];
  for (const [name, value] of fields(headers)) {
    const known = key(name);
    const to = renamed.get(known);
    if (to !== undefined || !removed.has(known)) kept.push(to ?? name, value);
  }
  return kept;
}

function changedPath(path: string, { removed, renamed }: ChangeSet, set: readonly string[]): string {
  const start = path.indexOf('?');
  const given = start < 0 ? [] : path.slice(start + 1).split('&');
  const kept = given.flatMap((parameter) => {
    const [written = ''] = parameter.split('=', 1);
    const name = decoded(written);
    const to = renamed.get(name);
    if (to !== undefined) return [encodeURIComponent(to) + parameter.slice(written.length)];
    return removed.has(name) || removed.has(written) ? [] : [parameter];
  });
  for (const [name, value] of fields(set)) kept.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  const bare = start < 0 ? path : path.slice(0, start);
  return kept.length === 0 ? bare : `${bare}?${kept.join('&')}`;
}

/** The field with the credential, nothing where there is none, or why it is not taken. */
function moveCredential(session: SessionView, { from, to, prefix }: TransformOptions['move'][number]): HeaderDraft | Denial {
  const found = findCredential(session.request, from);
  if (found.kind === 'none') return [];
  if (found.kind === 'unclear') return deny('bad-request', found.detail);
  if (!isHeaderText(found.value)) return deny('bad-request', 'The credential has characters that cannot be sent on.');
  session.consumed.push(...found.places);
  return [to, prefix + found.value];
}

function withCredentials(headers: readonly string[], credentials: readonly string[]): HeaderDraft {
  const names = credentials.filter((_, i) => i % 2 === 0).map(normalName);
  return [...withoutHeaders(headers, (lowerName) => names.includes(normalName(lowerName))), ...credentials];
}

/** @throws ForegateError `bad-request` for names that cannot be changed or would stand there twice */
function checkNames({ headers, query, move }: TransformOptions): void {
  const taken = [...headers.remove, ...Object.keys(headers.rename)];
  const written = [...Object.values(headers.rename), ...Object.keys(headers.set), ...move.map(({ to }) => to)];
  const names = [...taken, ...written];
  const parameters = [...Object.keys(query.rename), ...Object.values(query.rename), ...Object.keys(query.set)];
  if (names.length + parameters.length + query.remove.length === 0)
    throw wrong('Give something to change in "headers", "query" or "move".');
  for (const name of names) {
    if (!isHeaderName(name)) throw wrong(`${JSON.stringify(name)} is not a name of a header field.`);
    if (isFixed(normalName(name))) throw wrong(`${JSON.stringify(name)} cannot be changed: what runs here needs it as it is.`);
  }
  for (const name of parameters) if (!isPlainText(name) || name === '') throw wrong('A query parameter needs a name.');
  for (const { prefix } of move) if (!isHeaderText(prefix)) throw wrong('A prefix has characters that cannot be sent.');
  checkTwice(written.map(normalName));
  checkTwice([...Object.values(query.rename), ...Object.keys(query.set)]);
}

function checkTwice(names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw wrong(`${JSON.stringify(twice)} would be written twice.`);
}

function isFixed(name: string): boolean {
  return isHopByHop(name) || fixedNames.has(name) || /^(?:grip|meta|set-meta|content|sec-websocket)-/.test(name);
}

const fixedNames: ReadonlySet<string> = new Set([
  'host',
  'expect',
  'accept',
  'accept-encoding',
  'cdn-loop',
  'connection-id',
  'keep-alive-interval',
]);

/** No control characters at all, not even the tab that a field may have; and no half characters, which have no bytes. */
function isPlainText(value: string): boolean {
  return !/[\p{Cc}\p{Cs}]/u.test(value);
}

function isHeaderText(value: string): boolean {
  return isPlainText(value) && isHeaderValue(value);
}

function decoded(written: string): string {
  try {
    return decodeURIComponent(written.replaceAll('+', ' '));
  } catch {
    return written; // Not an encoding of anything: it can only be meant as it stands.
  }
}

function wrong(message: string): ForegateError {
  return new ForegateError('bad-request', message);
}
