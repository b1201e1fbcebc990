/**
 * A refusal in one form, whichever of the usual shapes its gateway gives it: `{"message":…}`, `{"error":…}`, `{"error_msg":…}`,
 * `{"fault":{"faultstring":…}}`, a page, or a line of text. Read by content: some send JSON as text, or without a type.
 */
import type { Reply } from '../gateway/core/exchange.ts';
import { header } from '../gateway/core/headers.ts';

export interface Refusal {
  readonly status: number;
  /** What the gateway says, as a person would read it; empty where it says nothing. */
  readonly message: string;
  /** Its name for the error, where it has one; else empty. */
  readonly code: string;
  /** The members of a body that is a JSON object. */
  readonly members: Members | undefined;
  /** The beginning of the body. */
  readonly text: string;
  /** A header field, by its name in lower case; empty where there is none. */
  field(lowerName: string): string;
}

type Members = Readonly<Record<string, unknown>>;

/** As much of a body as is looked at: refusals are short, and whoever sends more means something else. */
const textBytes = 8192;
/** A line of text above it is a page. */
const messageLength = 200;

export function readRefusal({ status, headers, body }: Reply): Refusal {
  const text = body.toString('utf8', 0, textBytes);
  const members = body.length > textBytes ? undefined : membersOf(text);
  const field = (lowerName: string): string => header(headers, lowerName)?.trim() ?? '';
  return { status, message: messageOf(members, text), code: codeOf(members, field), members, text, field };
}

/** The members of an object inside another. */
export function memberOf(members: Members | undefined, name: string): unknown {
  return members !== undefined && Object.hasOwn(members, name) ? members[name] : undefined;
}

/** True if the body is a JSON object with exactly these members. */
export function hasOnly({ members }: Refusal, ...names: string[]): boolean {
  if (members === undefined) return false;
  const own = Object.keys(members);
  return own.length === names.length && names.every((name) => own.includes(name));
}

function membersOf(text: string): Members | undefined {
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    return asMembers(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function asMembers(value: unknown): Members | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : undefined;
}

function messageOf(members: Members | undefined, text: string): string {
  if (members === undefined) return text.length < messageLength ? text.trim() : '';
  const { message, Message, error, error_msg, error_description, detail } = members;
  const faultString = memberOf(asMembers(memberOf(members, 'fault')), 'faultstring');
  const known = [message, Message, error, error_msg, error_description, faultString, detail];
  return [...known, ...Object.values(members)].find((value) => typeof value === 'string') ?? '';
}

function codeOf(members: Members | undefined, field: Refusal['field']): string {
  const detail = asMembers(memberOf(asMembers(memberOf(members, 'fault')), 'detail'));
  const codes = [memberOf(detail, 'errorcode'), memberOf(members, 'error')];
  return codes.find((code) => typeof code === 'string') ?? field('x-amzn-errortype');
}
