/** Published items as they come over ZeroMQ (GRIP 6.6): `J` and JSON, `T` and a tnetstring, or a bare tnetstring. */
import type { Publication } from '../core/publication.ts';
import { isJsonObject } from './json-members.ts';
import { parseJson, parsePublishItem } from './publish-items.ts';
import { decodeTnetstring, isList, isTnetMap, textOf, type TnetValue } from './tnetstring.ts';

/**
 * One item with the checks of a publish call. A `channel` stands in place of the item's own.
 * @throws ForegateError `bad-request`
 */
export function parsePublishFrame(frame: Buffer, channel?: string): Publication {
  const item = readItem(frame);
  return parsePublishItem(channel === undefined || !isJsonObject(item) ? item : { ...item, channel });
}

/** @throws ForegateError `bad-request` */
export function parseTnetItem(item: TnetValue): Publication {
  return parsePublishItem(asJson(item, 'item'));
}

const [letterJ, letterT] = [0x4a, 0x54];

function readItem(frame: Buffer): unknown {
  if (frame[0] === letterJ) return parseJson(frame.subarray(1));
  return asJson(decodeTnetstring(frame[0] === letterT ? frame.subarray(1) : frame), 'item');
}

type Place = 'item' | 'formats' | 'format' | 'elsewhere';

const formatNames = new Set(['http-response', 'http-stream', 'ws-message']);
/** Members of a format whose bytes stay bytes: nothing here is base64. */
const contentNames = new Set(['body', 'body-bin', 'content', 'content-bin']);

/** What a JSON item would hold: all bytes but content are text. */
function asJson(value: TnetValue, place: Place): unknown {
  if (Buffer.isBuffer(value)) return textOf(value);
  if (isList(value)) return value.map((entry) => asJson(entry, 'elsewhere'));
  if (!isTnetMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, memberAsJson(key, member, place)]));
}

function memberAsJson(key: string, member: TnetValue, place: Place): unknown {
  if (place === 'format' && contentNames.has(key) && Buffer.isBuffer(member)) return member;
  return asJson(member, placeOf(key, place));
}

function placeOf(key: string, outer: Place): Place {
  if ((outer === 'item' || outer === 'formats') && formatNames.has(key)) return 'format';
  return outer === 'item' && key === 'formats' ? 'formats' : 'elsewhere';
}
