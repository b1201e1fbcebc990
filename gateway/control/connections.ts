/** Calls about sessions and channels: refresh, check, revoke, renew, list, show. */
import type { Request, Response } from 'express';
import type { ControlHost, Renewal } from '../core/control-host.ts';
import { errors, ForegateError } from '../core/errors.ts';
import { sessionId } from '../core/ids.ts';
import type { Revocation } from '../core/revocation.ts';
import { ConncheckBody, listLimit, RefreshBody, RenewBody, RevokeBody } from '../../openapi/control/control-schemas.ts';
import { compileSchema, describeFault, type SchemaCheck } from '../../openapi/schema/json-schema.ts';
import { jsonAnswer, problemAnswer, send, type Answer } from './answer.ts';
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
    { method: 'post', path: '/renew', bodyBytes, handle: (request, response) => renew(host, request, response) },
    { method: 'get', path: '/connections', handle: (request, response) => listConnections(host, request, response) },
    { method: 'get', path: '/connections/:id', handle: (request, response) => showConnection(host, request, response) },
    { method: 'get', path: '/channels', handle: (request, response) => listChannels(host, request, response) },
  ];
}

const checkRefresh = compileSchema<RefreshBody>(RefreshBody);
const checkConncheck = compileSchema<ConncheckBody>(ConncheckBody);
const checkRevoke = compileSchema<RevokeBody>(RevokeBody);
const checkRenew = compileSchema<RenewBody>(RenewBody);
const unknownConnection = problemAnswer(404, 'There is no open session with this id.');

async function refresh(host: ControlHost, request: Request, response: Response): Promise<void> {
  const { cid } = bodyOf(request, checkRefresh);
  const known = await host.refresh(sessionId(cid));
  send(response, known ? jsonAnswer(200, { message: 'Refreshed' }) : unknownConnection);
}

async function conncheck(host: ControlHost, request: Request, response: Response): Promise<void> {
  const { ids } = bodyOf(request, checkConncheck);
  send(response, jsonAnswer(200, await host.openOf(ids.map(sessionId))));
}

async function revoke(host: ControlHost, request: Request, response: Response): Promise<void> {
  const ended = await host.revoke(revocationOf(bodyOf(request, checkRevoke), Date.now()));
  send(response, jsonAnswer(200, { ended }));
}

async function renew(host: ControlHost, request: Request, response: Response): Promise<void> {
  const { cid, token } = bodyOf(request, checkRenew);
  send(response, renewalAnswer(await host.renew(sessionId(cid), token)));
}

function renewalAnswer(renewal: Renewal): Answer {
  if (renewal === 'renewed') return jsonAnswer(200, { message: 'Renewed' });
  if (renewal === 'unknown') return unknownConnection;
  if (renewal === 'not-renewable') return problemAnswer(409, 'The session has no token that could be renewed.');
  // 401 and 403 are about the caller's own credentials.
  const { source, status } = errors[renewal.code];
  return problemAnswer(source === 'client' ? 422 : status, renewal.detail);
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

async function listConnections(host: ControlHost, { query }: Request, response: Response): Promise<void> {
  const filter = { limit: limitOf(query), channel: textOf(query, 'channel'), subject: textOf(query, 'subject') };
  send(response, jsonAnswer(200, await host.sessions(filter)));
}

async function showConnection(host: ControlHost, { params }: Request, response: Response): Promise<void> {
  const session = await host.session(sessionId(String(params['id'])));
  send(response, session ? jsonAnswer(200, session) : unknownConnection);
}

async function listChannels(host: ControlHost, { query }: Request, response: Response): Promise<void> {
  const filter = { limit: limitOf(query), prefix: textOf(query, 'prefix') ?? '' };
  send(response, jsonAnswer(200, await host.channels(filter)));
}

function bodyOf<T>(request: Request, check: SchemaCheck<T>): T {
  const checked = check(request.body);
  if (checked.kind === 'valid') return checked.value;
  throw new ForegateError('bad-request', describeFault(checked.fault));
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
