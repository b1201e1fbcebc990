/** Calls about sessions and channels: refresh, check, revoke, list, show. */
import type { Request, Response } from 'express';
import type { ChannelInfo, ControlHost, SessionInfo } from '../core/control-host.ts';
import { ForegateError } from '../core/errors.ts';
import { sessionId } from '../core/ids.ts';
import type { Revocation } from '../core/revocation.ts';
import { ConncheckBody, listLimit, RefreshBody, RevokeBody } from '../../openapi/control-schemas.ts';
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
    { method: 'post', path: '/revoke', bodyBytes, handle: (request, response) => revoke(host, request, response) },
    { method: 'get', path: '/connections', handle: (request, response) => listConnections(host, request, response) },
    { method: 'get', path: '/connections/:id', handle: (request, response) => showConnection(host, request, response) },
    { method: 'get', path: '/channels', handle: (request, response) => listChannels(host, request, response) },
  ];
}

const checkRefresh = compileSchema<RefreshBody>(RefreshBody);
const checkConncheck = compileSchema<ConncheckBody>(ConncheckBody);
const checkRevoke = compileSchema<RevokeBody>(RevokeBody);
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

function revoke(host: ControlHost, request: Request, response: Response): void {
  send(response, jsonAnswer(200, { ended: host.revoke(revocationOf(bodyOf(request, checkRevoke), Date.now())) }));
}

/** Longer than tokens for browsers live. */
const revokedMs = 86_400_000;

function revocationOf(body: RevokeBody, now: number): Revocation {
  const [given, ...more] = (['subject', 'key', 'jti'] as const).flatMap((of) => {
    const value = body[of];
    return value === undefined ? [] : [{ of, value }];
  });
  if (given === undefined || more.length > 0)
    throw new ForegateError('bad-request', 'Give exactly one of "subject", "key" and "jti".');
  const until = body.until === undefined ? now + revokedMs : Date.parse(body.until);
  if (until <= now) throw new ForegateError('bad-request', 'until must be a time to come.');
  return { ...given, issuedBefore: body.issuedBefore === undefined ? now : Date.parse(body.issuedBefore), until };
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
