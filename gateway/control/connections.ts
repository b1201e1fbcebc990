/** Calls about sessions and channels: refresh, check, list, show. */
import type { Request, Response } from 'express';
import type { ChannelInfo, ControlHost, SessionInfo } from '../core/control-host.ts';
import { ForegateError } from '../core/errors.ts';
import { sessionId } from '../core/ids.ts';
import { ConncheckBody, listLimit, RefreshBody } from '../../openapi/control-schemas.ts';
import { compileSchema, describeFault, type SchemaCheck } from '../../openapi/json-schema.ts';
import { jsonAnswer, problemAnswer, send } from './answer.ts';
import type { Operation } from './operation.ts';

/** Bodies of the small calls, and of one that may list ids. */
const bodyBytes = 102_400;
const idListBytes = 512_000;

export function connectionOperations(host: ControlHost): readonly Operation[] {
  return [
    { method: 'post', path: '/refresh/', bodyBytes, handle: (request, response) => refresh(host, request, response) },
    {
      method: 'post',
      path: '/conncheck/',
      bodyBytes: idListBytes,
      handle: (request, response) => conncheck(host, request, response),
    },
    { method: 'get', path: '/connections', handle: (request, response) => listConnections(host, request, response) },
    { method: 'get', path: '/connections/:id', handle: (request, response) => showConnection(host, request, response) },
    { method: 'get', path: '/channels', handle: (request, response) => listChannels(host, request, response) },
  ];
}

const checkRefresh = compileSchema<RefreshBody>(RefreshBody);
const checkConncheck = compileSchema<ConncheckBody>(ConncheckBody);
const unknownConnection = problemAnswer(404, 'There is no open session with this id.');

function refresh(host: ControlHost, request: Request, response: Response): void {
  const { cid } = bodyOf(request, checkRefresh);
  send(response, host.refresh(sessionId(cid)) ? jsonAnswer(200, { message: 'Refreshed' }) : unknownConnection);
}

function conncheck(host: ControlHost, request: Request, response: Response): void {
  const { ids } = bodyOf(request, checkConncheck);
  send(
    response,
    jsonAnswer(
      200,
      ids.filter((id) => host.has(sessionId(id))),
    ),
  );
}

function listConnections(host: ControlHost, { query }: Request, response: Response): void {
  const limit = limitOf(query);
  const channel = textOf(query, 'channel');
  const subject = textOf(query, 'subject');
  const wanted = (session: SessionInfo): boolean =>
    (channel === undefined || session.channels.some((joined) => joined === channel)) &&
    (subject === undefined || session.subject === subject);
  send(response, jsonAnswer(200, firstOf(host.sessions(), limit, wanted)));
}

function showConnection(host: ControlHost, { params }: Request, response: Response): void {
  const session = host.session(sessionId(String(params['id'])));
  send(response, session ? jsonAnswer(200, session) : unknownConnection);
}

function listChannels(host: ControlHost, { query }: Request, response: Response): void {
  const limit = limitOf(query);
  const prefix = textOf(query, 'prefix') ?? '';
  const wanted = ({ channel }: ChannelInfo): boolean => channel.startsWith(prefix);
  send(response, jsonAnswer(200, firstOf(host.channels(), limit, wanted)));
}

function bodyOf<T>(request: Request, check: SchemaCheck<T>): T {
  const checked = check(request.body);
  if (checked.kind === 'valid') return checked.value;
  throw new ForegateError('bad-request', describeFault(checked.fault));
}

function firstOf<Entry>(entries: Iterable<Entry>, limit: number, wanted: (entry: Entry) => boolean): Entry[] {
  const found: Entry[] = [];
  for (const entry of entries) {
    if (!wanted(entry)) continue;
    found.push(entry);
    if (found.length === limit) break;
  }
  return found;
}

type Query = Request['query'];

function limitOf(query: Query): number {
  const text = textOf(query, 'limit');
  if (text === undefined) return listLimit.default;
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= listLimit.max) return limit;
  throw new ForegateError('bad-request', `limit must be a whole number from 1 to ${listLimit.max}.`);
}

function textOf(query: Query, name: string): string | undefined {
  const value = query[name];
  if (value === undefined || typeof value === 'string') return value;
  throw new ForegateError('bad-request', `${name} must be given once.`);
}
