/** Publications as answers to held requests: `http-response` (GRIP 4.5, 6.3). Every client gets an answer of its own. */
import type { Reply } from '../core/exchange.ts';
import { ForegateError } from '../core/errors.ts';
import { fields, headerValues, isHopByHop, withoutHeaders, type HeaderList } from '../core/headers.ts';
import type { Instruct } from '../core/hold.ts';
import type { Publication, ResponseFormat, Shape } from '../core/publication.ts';
import { exposedOf, exposedOnly, withoutGrip } from './grip-headers.ts';
import { isFinalStatus, reasonPhrase } from './instruct-values.ts';
import { isJsonObject } from './json-members.ts';
import { patched } from './json-patch.ts';

type SendFormat = Extract<ResponseFormat, { action: 'send' }>;

/** Items are handed over one by one; {@link responseOf} makes an answer of each. */
export const responseShape: Shape = {
  format: 'response',
  joins: false,

  encode: () => undefined,

  content(publication) {
    const format = sendFormat(publication);
    return format?.body.kind === 'bytes' ? format.body.bytes : undefined;
  },

  withContent(publication, content) {
    const format = sendFormat(publication);
    if (format === undefined) return publication;
    const response: SendFormat = { ...format, body: { kind: 'bytes', bytes: content } };
    return { ...publication, formats: { ...publication.formats, response } };
  },
};

/**
 * The answer that an item makes of a held request: its code, reason and body, and the fields of the instruction with the item's in
 * place of those of the same name. Without `Content-Length`, `Grip-*` and fields of one hop.
 * @throws ForegateError `bad-reply` for a patch that does not fit the instruction's body, and for a code no answer can have
 */
export function responseOf(publication: Publication, instruct: Instruct): Reply {
  const last = lastAnswers.get(publication);
  if (last !== undefined && isSameList(last.fields, instruct.head.headers)) return last.reply;
  const reply = makeResponse(publication, instruct);
  if (sendFormat(publication)?.body.kind === 'bytes') lastAnswers.set(publication, { fields: instruct.head.headers, reply });
  return reply;
}

/** Held requests mostly have the same fields, so that one answer serves them all and is encoded once. */
const lastAnswers = new WeakMap<Publication, { readonly fields: HeaderList; readonly reply: Reply }>();

function isSameList(one: HeaderList, two: HeaderList): boolean {
  return one === two || (one.length === two.length && one.every((text, index) => text === two[index]));
}

function makeResponse(publication: Publication, instruct: Instruct): Reply {
  const format = sendFormat(publication);
  if (format === undefined) throw new ForegateError('internal', 'The publication is no answer.');
  const { code: status, reason = reasonPhrase(status), headers, body } = format;
  if (!isFinalStatus(status)) throw new ForegateError('bad-reply', `An item was published with the code ${status}.`);
  return {
    status,
    reason,
    headers: mergedHeaders(instruct.head.headers, headers),
    body: body.kind === 'bytes' ? body.bytes : patchedBody(instruct.body, body.patch),
  };
}

function sendFormat({ formats: { response } }: Publication): SendFormat | undefined {
  return response?.action === 'send' ? response : undefined;
}

/** `Grip-Expose-Headers` of the item names the fields that go to the client, of both. */
function mergedHeaders(own: HeaderList, published: HeaderList): HeaderList {
  const names = new Set([...fields(published)].map(([name]) => name.toLowerCase()));
  // The body is another one than the instruction's, so what is said of its encoding does not hold.
  const kept = withoutHeaders(own, (name) => names.has(name) || name === 'content-encoding' || isFraming(name));
  const added = withoutHeaders(withoutGrip(published), isFraming);
  return exposedOnly([...kept, ...added], exposedOf(headerValues(published, 'grip-expose-headers')));
}

function isFraming(lowerName: string): boolean {
  return lowerName === 'content-length' || isHopByHop(lowerName);
}

/** Compact, members in the order of their names; a line feed at the end of the original is kept. */
function patchedBody(original: Buffer | undefined, patch: readonly unknown[]): Buffer {
  try {
    const text = original?.toString() ?? '';
    const json = stringify(patched(JSON.parse(text), patch));
    return Buffer.from(text.endsWith('\n') ? `${json}\n` : json);
  } catch (error) {
    // What JSON.parse says quotes the body; a document that is too deep overruns the stack.
    throw new ForegateError('bad-reply', 'A published patch does not fit the body that is held.', { cause: error });
  }
}

function stringify(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(stringify).join(',')}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const members = Object.keys(value).toSorted();
  return `{${members.map((name) => `${JSON.stringify(name)}:${stringify(value[name])}`).join(',')}}`;
}
