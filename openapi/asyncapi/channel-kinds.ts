/** The kinds of the messages of an AsyncAPI channel: which member of them differs, and what it says. */
import { limits } from '../../gateway/core/limits.ts';
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { NamedMessage } from './described-channel.ts';
import type { SchemaSource } from '../document/document-finding.ts';
import { constantsAt, pathOf } from '../messages/message-kinds.ts';
import type { Member } from '../document/origins.ts';

/** Schemas by kinds, as members of a mapping. */
export interface ChannelKinds {
  /** Where a message says its kind. */
  readonly by: string;
  readonly kinds: readonly Member[];
}

/** A message whose payload is a JSON Schema, and where that stands. */
export interface PayloadMessage extends NamedMessage {
  readonly payload: unknown;
  readonly owner: object;
  readonly key: string;
}

/**
 * Undefined where messages cannot be told apart. `by` is what is said of it: a message that does not say its kind there is of the one
 * that its name says.
 */
export function channelKinds(
  messages: readonly PayloadMessage[],
  by: string | undefined,
  source: SchemaSource,
): ChannelKinds | undefined {
  const found = by ?? distinguishing(messages, source);
  if (found === undefined) return undefined;
  const byKind = new Map<string, PayloadMessage[]>();
  for (const message of messages) {
    for (const kind of kindsOf(message, constantsIn(message.payload, pathOf(found), source)))
      byKind.set(kind, [...(byKind.get(kind) ?? []), message]);
  }
  return { by: found, kinds: [...byKind].map(([kind, same]) => kindMember(kind, same)) };
}

/** What is written of it, else what its payload can only be, else its name. */
function kindsOf({ message, name: key }: PayloadMessage, constants: readonly string[]): readonly string[] {
  const { 'x-foregate-kind': written, name } = message;
  if (typeof written === 'string') return [written];
  if (constants.length > 0) return constants;
  return [typeof name === 'string' ? name : key];
}

/** Several messages of one kind are told apart by what else they have. */
function kindMember(kind: string, [first, ...more]: readonly PayloadMessage[]): Member {
  const origin = { owner: first?.owner ?? {}, ...(first && { key: first.key }) };
  if (more.length === 0) return { key: kind, value: first?.payload, origin };
  return { key: kind, value: { anyOf: [first, ...more].map((one) => one?.payload) }, origin };
}

/** The member that says something in each message, and of several such the one that says most; before all others `type`. */
function distinguishing(messages: readonly PayloadMessage[], source: SchemaSource): string | undefined {
  const names = [...memberNames(messages[0]?.payload, source)];
  const first = names.toSorted((a, b) => Number(b === 'type') - Number(a === 'type'));
  const counted = first.map((name) => ({ name, count: kindCount(messages, name, source) }));
  const best = counted.toSorted((a, b) => b.count - a.count)[0];
  return best === undefined || best.count === 0 ? undefined : best.name;
}

/** How many kinds a member tells apart; 0 where a message may be without it, or be anything there. */
function kindCount(messages: readonly PayloadMessage[], name: string, source: SchemaSource): number {
  const kinds = messages.map(({ payload }) => {
    const constants = constantsIn(payload, [name], source);
    return constants.length > 1 && !isRequired(payload, name, source) ? [] : constants;
  });
  return kinds.some(({ length }) => length === 0) ? 0 : new Set(kinds.flat()).size;
}

/** What a member can only be; of a choice what it can be in its parts, if it says so in each. */
export function constantsIn(schema: unknown, path: readonly string[], source: SchemaSource): string[] {
  return inParts<string[]>(schema, source, [], (part, below) => {
    const own = constantsAt(part, path, source);
    const found = own.length > 0 ? [own] : (choiceOf(part)?.map(below) ?? []);
    return found.some(({ length }) => length === 0) ? [] : [...new Set(found.flat())];
  });
}

function isRequired(schema: unknown, name: string, source: SchemaSource): boolean {
  return inParts<boolean>(schema, source, false, (part, below) => {
    const { required } = part;
    if (Array.isArray(required) && required.includes(name)) return true;
    return partsOfAll(part).some(below) || (choiceOf(part)?.every(below) ?? false);
  });
}

/** Names of members, also of those in parts of the schema. */
function memberNames(schema: unknown, source: SchemaSource): Set<string> {
  return inParts<Set<string>>(schema, source, new Set(), (part, below) => {
    const { properties } = part;
    const inner = [...partsOfAll(part), ...(choiceOf(part) ?? [])].flatMap((one) => [...below(one)]);
    return new Set([...Object.keys(isMapping(properties) ? properties : {}), ...inner]);
  });
}

/**
 * Finds something out of a schema and its parts, each of which is looked at once, however often it stands there. `unknown` is what is
 * taken for a part that is around itself, or too deep.
 */
function inParts<T>(
  schema: unknown,
  source: SchemaSource,
  unknown: T,
  look: (part: Mapping, below: (inner: unknown) => T) => T,
): T {
  const known = new Map<unknown, T>();
  const visit = (value: unknown, depth: number): T => {
    const part = source.follow(value);
    const before = known.get(part);
    if (before !== undefined || !isMapping(part) || depth > limits.checkedDepth) return before ?? unknown;
    known.set(part, unknown);
    const found = look(part, (inner) => visit(inner, depth + 1));
    known.set(part, found);
    return found;
  };
  return visit(schema, 0);
}

function choiceOf({ oneOf, anyOf }: Mapping): readonly unknown[] | undefined {
  const choice: unknown = oneOf ?? anyOf;
  return Array.isArray(choice) && choice.length > 0 ? choice : undefined;
}

function partsOfAll({ allOf }: Mapping): readonly unknown[] {
  return Array.isArray(allOf) ? allOf : [];
}
