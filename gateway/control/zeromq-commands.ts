/** The commands of Pushpin's REP socket (GRIP 6.6): a tnetstring map `{id, method, args}` in, `{id, success, value}` out. */
import { connectionIdsMax } from '../../openapi/control/control-schemas.ts';
import type { ControlHost } from '../core/control-host.ts';
import { ForegateError, toForegateError } from '../core/errors.ts';
import { channelName, sessionId } from '../core/ids.ts';
import type { Log } from '../core/log.ts';
import type { MaybePromise } from '../core/promise.ts';
import type { Publication } from '../core/publication.ts';
import type { Denial } from '../core/session.ts';
import { parseTnetItem } from '../wire/publish-frames.ts';
import {
  decodeTnetstring,
  encodeTnetstring,
  isList,
  isTnetMap,
  textOf,
  type TnetMap,
  type TnetValue,
} from '../wire/tnetstring.ts';

export interface CommandParts {
  readonly host: Pick<ControlHost, 'openOf' | 'refresh' | 'refreshChannel' | 'recover'>;
  readonly limits: { readonly publishItems: number };
  readonly log: Log;
  /** Undefined when all was published. */
  publish(items: readonly Publication[]): MaybePromise<Denial | undefined>;
  /** What `get-zmq-uris` gives. */
  readonly uris: Readonly<Record<string, string>>;
}

/** Always has an answer: whoever asked waits for one. */
export async function answerCommand(parts: CommandParts, request: Buffer): Promise<Buffer> {
  const asked = readRequest(request);
  const outcome = asked === undefined ? badRequest('The request is not valid.') : await outcomeOf(parts, asked);
  const { id } = asked?.request ?? {};
  return encodeTnetstring({ ...(id !== undefined && { id }), ...outcome });
}

interface Asked {
  readonly request: TnetMap;
  readonly method: string;
  readonly args: TnetMap;
}

/** Undefined for what is no request. */
function readRequest(bytes: Buffer): Asked | undefined {
  try {
    const request = decodeTnetstring(bytes);
    if (!isTnetMap(request)) return undefined;
    const { method, args = {} } = request;
    return Buffer.isBuffer(method) && isTnetMap(args) ? { request, method: textOf(method), args } : undefined;
  } catch {
    return undefined;
  }
}

async function outcomeOf(parts: CommandParts, { method, args }: Asked): Promise<TnetMap> {
  const command = Object.hasOwn(commands, method) ? commands[method] : undefined;
  if (command === undefined) return failed('method-not-found');
  try {
    return await command(parts, args);
  } catch (thrown) {
    const error = toForegateError(thrown);
    if (error.code === 'bad-request') return badRequest(error.message);
    parts.log.error('zeromq.failed', { method, code: error.code, error: error.cause ?? error });
    return failed(error.code);
  }
}

type Command = (parts: CommandParts, args: TnetMap) => MaybePromise<TnetMap>;

const commands: Readonly<Record<string, Command>> = {
  conncheck: async ({ host }, { ids }) => {
    if (!isList(ids) || ids.length > connectionIdsMax) return badRequest(`'ids' must be a list of at most ${connectionIdsMax}.`);
    const open = await host.openOf(ids.map((id) => sessionId(textMember(id, 'ids'))));
    return succeeded(open.map((id) => Buffer.from(id)));
  },
  refresh: async ({ host }, { cid, channel }) => {
    if (cid !== undefined)
      return (await host.refresh(sessionId(textMember(cid, 'cid')))) ? succeeded(null) : failed('item-not-found');
    host.refreshChannel(channelName(textMember(channel, 'channel')));
    return succeeded(null);
  },
  publish: async ({ limits, publish }, { items }) => {
    if (items === undefined) return badRequest("Invalid format: object does not contain 'items'");
    if (!isList(items)) return badRequest("Invalid format: object contains 'items' with wrong type");
    if (items.length > limits.publishItems)
      return badRequest(`Invalid format: too many items (at most ${limits.publishItems} per request)`);
    const denial = await publish(items.map(parseTnetItem));
    return denial === undefined ? succeeded(null) : failed(denial.code, denial.detail);
  },
  recover: ({ host }) => {
    host.recover();
    return succeeded(null);
  },
  'get-zmq-uris': ({ uris }) =>
    succeeded(Object.fromEntries(Object.entries(uris).map(([name, uri]) => [name, Buffer.from(uri)]))),
};

function textMember(value: TnetValue | undefined, name: string): string {
  if (Buffer.isBuffer(value)) return textOf(value);
  throw new ForegateError('bad-request', `'${name}' is missing or has the wrong type.`);
}

function succeeded(value: TnetValue): TnetMap {
  return { success: true, value };
}

function badRequest(detail: string): TnetMap {
  return failed('bad-request', detail);
}

function failed(condition: string, detail?: string): TnetMap {
  return { success: false, condition: Buffer.from(condition), ...(detail !== undefined && { value: Buffer.from(detail) }) };
}
