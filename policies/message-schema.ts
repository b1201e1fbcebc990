/** Checks messages by JSON Schemas, one for each kind of message: what clients send, and what backends send and publish. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Type, type Static } from 'typebox';
import { ForegateError, type ErrorCode } from '../gateway/core/errors.ts';
import type { Message } from '../gateway/core/event.ts';
import type { Denial } from '../gateway/core/session.ts';
import { limits } from '../gateway/core/limits.ts';
import { definePolicy, deny, type Policy } from '../gateway/core/policy.ts';
import type { Publication } from '../gateway/core/publication.ts';
import { eventData } from '../gateway/wire/event-stream.ts';
import { compileForeignSchema, type SchemaCheck } from '../openapi/schema/json-schema.ts';
import { checkBackendMessages } from './backend-messages.ts';
import { exceeded } from './json-extent.ts';
import { AnswerText, answerText, Over, overOf } from './over.ts';
import { starPatterns } from './star-pattern.ts';

const MessageSchemaOptions = Type.Object(
  {
    schemas: Type.Record(
      Type.String(),
      Type.Object(
        {
          file: Type.Optional(
            Type.String({ minLength: 1, description: 'A JSON file with the schema, from the folder of the configuration file.' }),
          ),
          inline: Type.Optional(
            Type.Record(Type.String(), Type.Unknown(), { description: 'The schema itself, in place of `file`.' }),
          ),
        },
        { additionalProperties: false, minProperties: 1, maxProperties: 1 },
      ),
      {
        minProperties: 1,
        description:
          'A JSON Schema (2020-12) for each kind of message, by the value of `by`: `{ file: PATH }`, a JSON file, from the folder of the configuration file, or `{ inline: SCHEMA }`. `$ref` leads to places of the same schema only. What cannot be used, such as an unknown `format`, is found at the start. A `pattern` is one of RE2, which takes no longer than the text is long: without looking around and without `\\1`. `uniqueItems` needs `maxItems` of 256 at most beside it, and a text of more than 2,048 characters is of no `format` that has a pattern.',
      },
    ),
    by: Type.String({
      minLength: 1,
      default: 'type',
      description:
        'Where a message says its kind, as text or a whole number: the name of a member, or a JSON Pointer such as `/header/type`. Of members that stand there twice the last counts, as in most parsers.',
    }),
    default: Type.Enum(['refuse', 'pass'], {
      default: 'refuse',
      description:
        'What is done with messages that no schema is for: those of other kinds, of none, without JSON, and binary ones. Pings and pongs always pass.',
    }),
    from: Type.Enum(['client', 'backend', 'both'], {
      default: 'client',
      description:
        'Whose messages are checked. `backend`: those in its answers; an answer with a message that does not fit is not carried out at all, and what happens is said by `over`, with close code 1011. Of a WebSocket backend each message is checked for itself. Keep-alives and delayed messages are not checked. In `control.policies` the messages are those that are published as `ws-message`, and one that does not fit is refused with status 400; this needs `backend` or `both`.',
    }),
    channels: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        minItems: 1,
        description:
          'For `control.policies`: the channels whose items are checked, where `*` stands for any text, also none. Without it, all.',
      }),
    ),
    eventStreams: Type.Boolean({
      default: false,
      description:
        'For `control.policies`: whether items for streams are checked too, as event streams: the data of each event is a message.',
    }),
    over: Over({
      default: 'close',
      description:
        'What happens to a message that does not fit: `close` the WebSocket, `drop` the message, or `answer` it with an error message that has the JSON Pointer of the first fault. Messages of more than 100 levels never fit.',
    }),
    text: AnswerText(
      'With `over: answer`, the text message that is sent instead of the usual one; `{detail}` in it becomes the sentence about the fault, as it stands inside a JSON string.',
    ),
    closeCode: Type.Enum([4400, 1007], {
      default: 4400,
      description: 'The close code for a message of a client: 4400 as for a bad request, or 1007 (RFC 6455 section 7.4.1).',
    }),
  },
  { additionalProperties: false },
);
type MessageSchemaOptions = Static<typeof MessageSchemaOptions>;

export const messageSchema = definePolicy({
  name: 'message-schema',
  summary: 'Checks messages by JSON Schemas.',
  options: MessageSchemaOptions,
  async create(options, { directory }): Promise<Policy> {
    const check = messageCheck(options, await compiledSchemas(options.schemas, directory));
    const { from, channels } = options;
    const refusal = messageRefusal(options);
    const publish = from === 'client' ? {} : { publish: publicationCheck(check, options) };
    if (channels !== undefined) return publish;
    const code = options.closeCode === 1007 ? 'invalid-message' : 'bad-request';
    return {
      ...(from !== 'backend' && {
        message(_session, message) {
          const fault = check(message);
          return fault === undefined ? undefined : refusal(code, fault);
        },
      }),
      ...(from !== 'client' && {
        response: checkBackendMessages((message) => {
          const fault = check(message);
          return fault === undefined ? undefined : refusal('bad-reply', fault);
        }),
      }),
      ...publish,
    };
  },
});

function publicationCheck(check: MessageCheck, { channels, eventStreams }: MessageSchemaOptions): NonNullable<Policy['publish']> {
  const isConcerned = starPatterns(channels);
  return ({ channel, formats }) => {
    if (!isConcerned(channel)) return undefined;
    const fault = publishedMessages(formats, eventStreams).map(check).find(Boolean);
    return fault === undefined ? undefined : deny('bad-request', fault);
  };
}

function publishedMessages({ message, stream }: Publication['formats'], eventStreams: boolean): readonly Message[] {
  const frames: Message[] = message?.action === 'send' ? [{ kind: message.type, data: message.content }] : [];
  if (!eventStreams || stream?.action !== 'send') return frames;
  return [...frames, ...eventData(stream.content).map((data): Message => ({ kind: 'text', data }))];
}

/** @throws ForegateError `bad-request` for a word that means nothing here */
function messageRefusal({ over, text }: MessageSchemaOptions): (code: ErrorCode, detail: string) => Denial {
  const reasons = { delay: 'A message would fit no better later.' };
  const action = overOf(over, { possible: ['close', 'drop', 'answer'], what: 'messages that do not fit', reasons, text });
  return (code, detail) => deny(code, detail, { action, ...answerText(text, { detail }) });
}

/** A sentence about the first fault. */
type MessageCheck = (message: Message) => string | undefined;

function messageCheck(options: MessageSchemaOptions, schemas: ReadonlyMap<string, SchemaCheck<unknown>>): MessageCheck {
  const path = options.by.startsWith('/') ? pointerPath(options.by) : [options.by];
  const unknown = (fault: string): string | undefined => (options.default === 'pass' ? undefined : fault);
  return ({ kind, data }) => {
    if (kind === 'ping' || kind === 'pong') return undefined;
    if (kind === 'binary') return unknown('A binary message has no schema.');
    if (options.default === 'pass' && !mayHaveKind(data)) return undefined;
    // A schema that refers to itself goes as deep as the message, on the stack.
    if (exceeded(data, { depth: limits.checkedDepth, keys: Infinity })) return 'The message has too many levels.';
    const value = parse(data);
    if (value === undefined) return unknown('The message is no JSON.');
    const schema = schemas.get(kindOf(value, path));
    if (schema === undefined) return unknown('The message is of no known kind.');
    const checked = schema(value);
    return checked.kind === 'valid' ? undefined : sentence(checked.fault.pointer, checked.fault.text);
  };
}

/** Only what has members has a kind. That a text is no JSON costs a parser more than all else here. */
function mayHaveKind(data: Buffer): boolean {
  let at = 0;
  while (isSpace(data[at])) at += 1;
  return data[at] === openBrace || data[at] === openBracket;
}

const openBrace = 0x7b;
const openBracket = 0x5b;

/** RFC 8259 section 2. */
function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

/** Undefined for what is no JSON. */
function parse(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString());
  } catch {
    return undefined; // Whether that is a fault is said by `default`.
  }
}

/** Empty for none, which no schema has for its name. */
function kindOf(message: unknown, path: readonly string[]): string {
  let value = message;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return '';
    value = Reflect.get(value, name);
  }
  return typeof value === 'string' || Number.isSafeInteger(value) ? String(value) : '';
}

/** RFC 6901. */
function pointerPath(pointer: string): string[] {
  const parts = pointer.split('/').slice(1);
  return parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** Names in a pointer are the sender's: they may be long. */
function sentence(pointer: string, text: string): string {
  const place = pointer.length > 100 ? `${pointer.slice(0, 100)}...` : pointer;
  return `${place === '' ? 'The message' : place} ${text}.`;
}

async function compiledSchemas(
  schemas: MessageSchemaOptions['schemas'],
  directory: string,
): Promise<ReadonlyMap<string, SchemaCheck<unknown>>> {
  const compiled = new Map<string, SchemaCheck<unknown>>();
  for (const [kind, { file, inline }] of Object.entries(schemas)) {
    if (kind === '') throw new ForegateError('bad-request', 'A kind of message needs a name.');
    const schema = file === undefined ? inline : await readSchema(resolve(directory, file), file);
    compiled.set(kind, compiledSchema(kind, schema ?? {}));
  }
  return compiled;
}

function compiledSchema(kind: string, schema: object): SchemaCheck<unknown> {
  try {
    return compileForeignSchema(schema);
  } catch (cause) {
    if (!(cause instanceof ForegateError)) throw cause;
    throw new ForegateError('bad-request', `For messages of the kind ${JSON.stringify(kind)}: ${cause.message}`, { cause });
  }
}

async function readSchema(path: string, written: string): Promise<object> {
  try {
    const schema: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof schema === 'object' && schema !== null && !Array.isArray(schema)) return schema;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ForegateError('bad-request', `The schema in ${JSON.stringify(written)} cannot be read: ${reason}.`, { cause });
  }
  throw new ForegateError('bad-request', `The file ${JSON.stringify(written)} has no schema: it must have a JSON object.`);
}
