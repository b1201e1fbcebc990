/** Texts of options in which stands who the client has proved to be: `{sub}` and `{claims.NAME}`. */
import { ForegateError } from '../gateway/core/errors.ts';
import type { Identity } from '../gateway/core/session.ts';

/** The text for one client; undefined if it has not all that stands in it. */
export type ClaimText = (identity: Identity | undefined) => string | undefined;

/** For the reference: what may stand in braces. */
export const placeholders =
  '`{sub}` (the subject of the token, or the name of the key) and `{claims.NAME}` (a claim that is text or a whole number; `{claims.a.b}` for the member `b` of the claim `a`)';

/** @throws ForegateError `bad-request` for anything else in braces, and for a brace alone */
export function claimText(text: string): ClaimText {
  const parts = text.split(/(\{[^{}]*\})/).flatMap((part) => (part === '' ? [] : [partOf(part, text)]));
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  return (identity) => joined(parts, identity);
}

function joined(parts: readonly ClaimText[], identity: Identity | undefined): string | undefined {
  let whole = '';
  for (const part of parts) {
    const text = part(identity);
    if (text === undefined) return undefined;
    whole += text;
  }
  return whole;
}

function partOf(part: string, text: string): ClaimText {
  const [, name] = /^\{(?:sub|claims\.([^{}]+))\}$/.exec(part) ?? [];
  if (part === '{sub}') return (identity) => identity?.subject || undefined;
  if (name !== undefined) return (identity) => claimOf(identity, name);
  if (/[{}]/.test(part)) throw new ForegateError('bad-request', `"${text}": in braces there can be {sub} or {claims.NAME} only.`);
  return () => part;
}

/** Anything but a text and a whole number is as good as missing: two of them could look the same. */
function claimOf(identity: Identity | undefined, name: string): string | undefined {
  const value = member(identity?.claims, name);
  if (typeof value === 'string') return value === '' ? undefined : value;
  return Number.isSafeInteger(value) ? String(value) : undefined;
}

/** A claim may have dots in its name (`https://id.example/org`); otherwise they lead inside. */
function member(claims: unknown, name: string): unknown {
  if (typeof claims !== 'object' || claims === null) return undefined;
  if (Object.hasOwn(claims, name)) return Reflect.get(claims, name);
  const dot = name.indexOf('.');
  return dot < 0 ? undefined : member(ownMember(claims, name.slice(0, dot)), name.slice(dot + 1));
}

function ownMember(object: object, name: string): unknown {
  return Object.hasOwn(object, name) ? Reflect.get(object, name) : undefined;
}
