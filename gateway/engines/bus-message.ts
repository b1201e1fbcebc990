/**
 * What processes tell each other over a bus, as bytes: a version, the sender, the length of a JSON text, that text, and the contents of
 * an item one behind the other. Whatever comes in is checked as if it came from a stranger: the engine between may be open to others.
 */
import { isUtf8 } from 'node:buffer';
import { Type, type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Notice } from '../core/bus.ts';
import { isSendableCloseCode } from '../core/close-code.ts';
import { isChannelName } from '../core/ids.ts';
import type { MessageFormat, Publication, ResponseFormat, StreamFormat } from '../core/publication.ts';

export type BusMessage =
  { readonly kind: 'item'; readonly publication: Publication } | { readonly kind: 'notice'; readonly notice: Notice };

/** Grows with every change that an older process would not understand. */
const version = 1;
export const senderBytes = 16;
const headBytes = 1 + senderBytes + 4;

/** `sender`: its {@link senderBytes} bytes. */
export function encodeBusMessage(sender: Buffer, message: BusMessage): Buffer {
  const contents: Buffer[] = [];
  const text = Buffer.from(JSON.stringify(message.kind === 'item' ? written(message.publication, contents) : message));
  const head = Buffer.alloc(headBytes);
  head.writeUInt8(version, 0);
  sender.copy(head, 1);
  head.writeUInt32BE(text.length, headBytes - 4);
  return Buffer.concat([head, text, ...contents]);
}

export function isFrom(sender: Buffer, bytes: Buffer): boolean {
  return sender.equals(bytes.subarray(1, 1 + senderBytes));
}

/** A notice that is kept, as text. */
export function encodeNotice(notice: Notice): string {
  return JSON.stringify({ kind: 'notice', notice });
}

/** Undefined for whatever is not understood. */
export function decodeNotice(text: string): Notice | undefined {
  const message = known(parse(text));
  return message?.kind === 'notice' ? message.notice : undefined;
}

/** Undefined for whatever is not understood. */
export function decodeBusMessage(bytes: Buffer): BusMessage | undefined {
  if (bytes.length < headBytes || bytes.readUInt8(0) !== version) return undefined;
  const textEnd = headBytes + bytes.readUInt32BE(headBytes - 4);
  if (textEnd > bytes.length) return undefined;
  return known(parse(bytes.toString('utf8', headBytes, textEnd)), bytes.subarray(textEnd));
}

function known(value: unknown, contents: Buffer = Buffer.alloc(0)): BusMessage | undefined {
  if (noticeCheck.Check(value)) return knownNotice(value.notice);
  return itemCheck.Check(value) ? read(value, contents) : undefined;
}

// Lists of fields hold Latin-1: see `core/headers.ts`.
const FieldName = Type.String({ pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$" });
const FieldValue = Type.String({ pattern: '^[\\t\\x20-\\x7e\\x80-\\xff]*$' });
/** The bytes stand behind the text; here is how many. */
const Content = Type.Integer({ minimum: 0 });
const ContentFilters = Type.Optional(Type.Array(Type.String()));
const strict = { additionalProperties: false };
const actionOf = <Action extends string>(...actions: Action[]) => Type.Object({ action: Type.Enum(actions) }, strict);

const Message = Type.Union([
  Type.Object(
    {
      action: Type.Literal('send'),
      type: Type.Enum(['text', 'binary', 'ping', 'pong']),
      content: Content,
      contentFilters: ContentFilters,
    },
    strict,
  ),
  Type.Object({ action: Type.Literal('close'), code: Type.Integer(), reason: Type.String({ maxLength: 123 }) }, strict),
  actionOf('refresh', 'hint'),
]);

const Stream = Type.Union([
  Type.Object({ action: Type.Literal('send'), content: Content, contentFilters: ContentFilters }, strict),
  actionOf('close', 'hint'),
]);

const Response = Type.Union([
  Type.Object(
    {
      action: Type.Literal('send'),
      code: Type.Integer({ minimum: 0, maximum: 999 }),
      reason: Type.Optional(FieldValue),
      headers: Type.Array(Type.Tuple([FieldName, FieldValue])),
      body: Type.Union([
        Type.Object({ kind: Type.Literal('bytes'), bytes: Content }, strict),
        Type.Object({ kind: Type.Literal('patch'), patch: Type.Array(Type.Unknown()) }, strict),
      ]),
      contentFilters: ContentFilters,
    },
    strict,
  ),
  actionOf('hint', 'close', 'refresh'),
]);

const Item = Type.Object(
  {
    kind: Type.Literal('item'),
    channel: Type.String(),
    id: Type.Optional(Type.String()),
    previousId: Type.Optional(Type.String()),
    unsequenced: Type.Optional(Type.Boolean()),
    size: Type.Optional(Type.Integer({ minimum: 0 })),
    meta: Type.Array(Type.Tuple([Type.String(), Type.String()])),
    formats: Type.Object(
      { message: Type.Optional(Message), stream: Type.Optional(Stream), response: Type.Optional(Response) },
      strict,
    ),
  },
  strict,
);

const NoticeMessage = Type.Object(
  {
    kind: Type.Literal('notice'),
    notice: Type.Union([
      Type.Object(
        {
          kind: Type.Literal('revoke'),
          revocation: Type.Object(
            {
              of: Type.Enum(['subject', 'key', 'jti']),
              value: Type.String(),
              issuedBefore: Type.Number(),
              until: Type.Number(),
            },
            strict,
          ),
        },
        strict,
      ),
      Type.Object({ kind: Type.Literal('recover') }, strict),
      Type.Object({ kind: Type.Literal('refresh-channel'), channel: Type.String() }, strict),
    ]),
  },
  strict,
);

type WrittenItem = Static<typeof Item>;
type WrittenFormats = WrittenItem['formats'];

const itemCheck = Compile(Item);
const noticeCheck = Compile(NoticeMessage);

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function written({ meta, formats: { message, stream, response }, ...rest }: Publication, contents: Buffer[]): WrittenItem {
  const put = (content: Buffer): number => {
    contents.push(content);
    return content.length;
  };
  const formats: WrittenFormats = {
    ...(message && { message: writtenMessage(message, put) }),
    ...(stream && { stream: writtenStream(stream, put) }),
    ...(response && { response: writtenResponse(response, put) }),
  };
  return { kind: 'item', ...rest, meta: [...meta], formats };
}

type Put = (content: Buffer) => number;

function writtenMessage(format: MessageFormat, put: Put): NonNullable<WrittenFormats['message']> {
  if (format.action !== 'send') return format;
  const { contentFilters, content, ...rest } = format;
  return { ...rest, content: put(content), ...(contentFilters && { contentFilters: [...contentFilters] }) };
}

function writtenStream(format: StreamFormat, put: Put): NonNullable<WrittenFormats['stream']> {
  if (format.action !== 'send') return format;
  const { contentFilters, content, ...rest } = format;
  return { ...rest, content: put(content), ...(contentFilters && { contentFilters: [...contentFilters] }) };
}

function writtenResponse(format: ResponseFormat, put: Put): NonNullable<WrittenFormats['response']> {
  if (format.action !== 'send') return format;
  const { contentFilters, headers, body, ...rest } = format;
  const pairs = Array.from({ length: headers.length / 2 }, (_, i): [string, string] => [
    headers[2 * i] ?? '',
    headers[2 * i + 1] ?? '',
  ]);
  return {
    ...rest,
    headers: pairs,
    body: body.kind === 'bytes' ? { kind: 'bytes', bytes: put(body.bytes) } : { kind: 'patch', patch: [...body.patch] },
    ...(contentFilters && { contentFilters: [...contentFilters] }),
  };
}

function read({ kind, channel, meta, formats: { message, stream, response }, ...rest }: WrittenItem, bytes: Buffer) {
  if (!isChannelName(channel)) return undefined;
  let at = 0;
  const take = (length: number): Buffer => bytes.subarray(at, (at += length));
  const formats: Publication['formats'] = {
    ...(message && { message: message.action === 'send' ? { ...message, content: take(message.content) } : message }),
    ...(stream && { stream: stream.action === 'send' ? { ...stream, content: take(stream.content) } : stream }),
    ...(response && { response: readResponse(response, take) }),
  };
  if (at !== bytes.length || !mayBeSent(formats.message)) return undefined;
  return { kind, publication: { ...rest, channel, meta: new Map(meta), formats } };
}

function readResponse(response: NonNullable<WrittenFormats['response']>, take: (length: number) => Buffer): ResponseFormat {
  if (response.action !== 'send') return response;
  const { headers, body } = response;
  return {
    ...response,
    headers: headers.flat(),
    body: body.kind === 'bytes' ? { kind: 'bytes', bytes: take(body.bytes) } : body,
  };
}

/** False for what would make a WebSocket client end the connection. */
function mayBeSent(message: MessageFormat | undefined): boolean {
  if (message?.action === 'close') return isSendableCloseCode(message.code) && Buffer.byteLength(message.reason) <= 123;
  if (message?.action !== 'send') return true;
  const { type, content } = message;
  if (type === 'text') return isUtf8(content);
  return type === 'binary' || content.length <= controlFrameBytes;
}

/** What a control frame has room for (RFC 6455 section 5.5). */
const controlFrameBytes = 125;

function knownNotice(notice: Static<typeof NoticeMessage>['notice']): BusMessage | undefined {
  if (notice.kind !== 'refresh-channel') return { kind: 'notice', notice };
  const { kind, channel } = notice;
  return isChannelName(channel) ? { kind: 'notice', notice: { kind, channel } } : undefined;
}
