/** The body of a publish call, `{"items": [...]}`, in the form GRIP publishers send it (GRIP 6.2): all items, or a refusal. */
import { isUtf8 } from 'node:buffer';
import { ForegateError } from '../core/errors.ts';
import { isChannelName, type ChannelName } from '../core/ids.ts';
import type { Publication } from '../core/publication.ts';
import { noMetadata, type Metadata } from '../core/session.ts';
import {
  booleanMember,
  invalidFormat,
  invalidValue,
  isJsonObject,
  objectMember,
  stringMember,
  wholeNumberMember,
  type JsonObject,
} from './json-members.ts';
import { parseMessageFormat, parseResponseFormat, parseStreamFormat } from './publish-formats.ts';

/** The largest stated size: what publishers keep in a signed 32-bit number. */
const sizeMax = 0x7fff_ffff;
const owner = 'publish item object';

/**
 * Checks all items before it gives any. The first fault counts, in the order of GRIP's tables, with GRIP's texts.
 * @throws ForegateError `bad-request`
 */
export function parsePublishBody(body: Buffer, limits: { readonly publishItems: number }): Publication[] {
  const root = parseJson(body);
  if (!isJsonObject(root)) throw new ForegateError('bad-request', 'Invalid format.');
  const items = root['items'];
  if (items === undefined) throw invalidFormat("object does not contain 'items'");
  if (!Array.isArray(items)) throw invalidFormat("object contains 'items' with wrong type");
  if (items.length > limits.publishItems) throw invalidFormat(`too many items (at most ${limits.publishItems} per request)`);
  return items.map(parsePublishItem);
}

/** @throws ForegateError `bad-request` */
export function parsePublishItem(item: unknown): Publication {
  if (!isJsonObject(item)) throw invalidFormat(`${owner} is not an object`);
  const channel = channelOf(item);
  const id = stringMember(owner, item, 'id');
  const previousId = stringMember(owner, item, 'prev-id');
  const formats = formatsOf(item);
  const meta = metaOf(item);
  const publication: PublicationDraft = { channel, meta, formats };
  // Members are set one by one, since a spread of what is mostly undefined costs more than all the checks.
  if (id !== undefined) publication.id = id;
  if (previousId !== undefined) publication.previousId = previousId;
  const size = wholeNumberMember(owner, item, 'size', sizeMax);
  if (size !== undefined) publication.size = size;
  if (booleanMember(owner, item, 'no-seq') === true) publication.unsequenced = true;
  return publication;
}

type PublicationDraft = { -readonly [Member in keyof Publication]: Publication[Member] };
type FormatsDraft = { -readonly [Format in keyof Publication['formats']]: Publication['formats'][Format] };

/** @throws ForegateError `bad-request` */
export function parseJson(body: Buffer): unknown {
  // Decoding would put replacement characters in place of bytes that are no UTF-8.
  if (!isUtf8(body)) throw notJson();
  try {
    return JSON.parse(body.toString());
  } catch {
    // What JSON.parse says quotes the body, which belongs in no log.
    throw notJson();
  }
}

function notJson(): ForegateError {
  return new ForegateError('bad-request', 'Body is not valid JSON.');
}

function channelOf(item: JsonObject): ChannelName {
  const channel = stringMember(owner, item, 'channel');
  if (channel === undefined) throw invalidFormat(`${owner} does not contain 'channel'`);
  if (!isChannelName(channel)) throw invalidValue(owner, 'channel');
  return channel;
}

/** The formats stand in a member of their own, or beside the others. */
function formatsOf(item: JsonObject): Publication['formats'] {
  const own = objectMember(owner, item, 'formats');
  const formats = own ?? item;
  const { 'http-response': response, 'http-stream': stream, 'ws-message': message } = formats;
  const none = response === undefined && stream === undefined && message === undefined;
  // Formats that nobody knows are accepted, but only where they are said to be formats.
  if (none && (own === undefined || Object.keys(own).length === 0)) throw invalidFormat('no formats specified');
  const draft: FormatsDraft = {};
  if (response !== undefined) draft.response = parseResponseFormat(response);
  if (stream !== undefined) draft.stream = parseStreamFormat(stream);
  if (message !== undefined) draft.message = parseMessageFormat(message);
  return draft;
}

function metaOf(item: JsonObject): Metadata {
  const meta = objectMember(owner, item, 'meta');
  if (meta === undefined) return noMetadata;
  return new Map(
    Object.entries(meta).map(([name, value]) => {
      if (typeof value !== 'string') throw invalidFormat(`'meta' contains '${name}' with wrong type`);
      return [name, value];
    }),
  );
}
