/**
 * `POST /publish/`: the call of every GRIP publisher (GRIP 6.1), as a plain handler in front of Express. It waits for nothing
 * unless a policy or the bus does, and a connection stays open for the next call. And `POST /recover/`, for those who lost items.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ControlHost } from '../core/control-host.ts';
import { toForegateError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { deny, runHooks, type Publisher, type RouteHooks, type Verdict } from '../core/policy.ts';
import { isPromise, type MaybePromise } from '../core/promise.ts';
import type { Publication } from '../core/publication.ts';
import type { Denial, Identity } from '../core/session.ts';
import { parsePublishBody } from '../wire/publish-items.ts';
import { acceptedForm } from './accept.ts';
import { denialHead, errorStatus, jsonAnswer, send, sendUnread, textAnswer, type Answer } from './answer.ts';
import { createAuthenticate, type ControlAuth } from './authenticate.ts';
import { Turns } from './turns.ts';

export interface PublishParts {
  readonly host: Pick<ControlHost, 'publish'>;
  /** Policies for publishers. */
  readonly hooks: Pick<RouteHooks, 'publish'>;
  readonly auth: ControlAuth;
  readonly limits: { readonly publishBytes: number; readonly publishItems: number };
  readonly log: Log;
}

export interface RecoverParts extends Pick<PublishParts, 'auth' | 'log'> {
  readonly host: Pick<ControlHost, 'recover'>;
}

const published = inBothForms('Published');
const updated = inBothForms('Updated');
const lengthRequired = textAnswer(411, 'Request requires Content-Length.');
const bodyTooLarge = textAnswer(400, 'Request body too large.');
const notAcceptable = textAnswer(406, 'Not Acceptable. Supported formats are text/plain and application/json.');
const overloaded = textAnswer(503, 'Too much is waiting.');

/**
 * Answers 200 when every item was found valid, allowed and handed to the host; otherwise nothing was published.
 * @throws ForegateError `bad-request` for a key in `auth` that is none
 */
export function publishHandler(parts: PublishParts): (request: IncomingMessage, response: ServerResponse) => void {
  const authenticate = createAuthenticate(parts.auth, parts.log);
  const turns = new Turns();
  return (request, response) => {
    const admission = authenticate(request);
    if (admission.kind === 'deny') return sendUnread(request, response, denialAnswer(admission));
    const fault = headFault(request, parts.limits.publishBytes);
    if (fault) return sendUnread(request, response, fault);
    const form = acceptedForm(request.headers.accept);
    if (!form) return sendUnread(request, response, notAcceptable);
    if (request.headers.expect !== undefined) response.writeContinue();
    readBody(request, (body) => {
      const run = (): MaybePromise<void> =>
        answerWith(response, parts.log, () => publishBody(parts, body, publisherOf(request, admission.identity)), form);
      if (!turns.take(request.socket, run)) send(response, { ...overloaded, headers: ['Connection', 'close'] });
    });
  };
}

/**
 * Forgets all last ids and has every held request ask its backend. A body is not looked at.
 * @throws ForegateError `bad-request` for a key in `auth` that is none
 */
export function recoverHandler({ host, auth, log }: RecoverParts): (request: IncomingMessage, response: ServerResponse) => void {
  const authenticate = createAuthenticate(auth, log);
  return (request, response) => {
    const admission = authenticate(request);
    if (admission.kind === 'deny') return sendUnread(request, response, denialAnswer(admission));
    const form = acceptedForm(request.headers.accept);
    const wrongMethod = methodFault(request);
    if (wrongMethod) return sendUnread(request, response, wrongMethod);
    if (!form) return sendUnread(request, response, notAcceptable);
    host.recover();
    sendUnread(request, response, updated[form]);
  };
}

function inBothForms(message: string): { readonly text: Answer; readonly json: Answer } {
  return { text: textAnswer(200, message), json: jsonAnswer(200, { message }) };
}

function methodFault({ method }: IncomingMessage): Answer | undefined {
  return method === 'POST' ? undefined : textAnswer(405, `Method not allowed: ${method}.`, ['Allow', 'POST']);
}

function headFault(request: IncomingMessage, publishBytes: number): Answer | undefined {
  const wrongMethod = methodFault(request);
  if (wrongMethod) return wrongMethod;
  const length = request.headers['content-length'];
  if (length === undefined) return lengthRequired;
  return Number(length) > publishBytes ? bodyTooLarge : undefined;
}

/** What arrives is no longer than `Content-Length` says: Node sees to that. A body that is cut short is never handed on. */
function readBody(request: IncomingMessage, then: (body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => then(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
}

function publisherOf({ socket, rawHeaders }: IncomingMessage, identity: Identity | undefined): Publisher {
  return { identity, address: (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, ''), headers: rawHeaders };
}

function publishBody(parts: PublishParts, body: Buffer, publisher: Publisher): MaybePromise<Denial | undefined> {
  return publish(parts, parsePublishBody(body, parts.limits), publisher);
}

/** Asks the policies, then hands all items to the host, or none. Undefined when all was handed over. */
export function publish(
  { host, hooks }: Pick<PublishParts, 'host' | 'hooks'>,
  items: readonly Publication[],
  publisher: Publisher,
): MaybePromise<Denial | undefined> {
  const allowed = hooks.publish.length === 0 ? items : allowedItems(hooks, items, publisher);
  return isPromise(allowed) ? allowed.then((later) => handOver(host, later)) : handOver(host, allowed);
}

function handOver(host: PublishParts['host'], allowed: readonly Publication[] | Denial): MaybePromise<Denial | undefined> {
  if ('kind' in allowed) return allowed;
  const done = host.publish(allowed);
  return isPromise(done) ? done.then(() => undefined) : undefined;
}

function allowedItems(
  hooks: PublishParts['hooks'],
  items: readonly Publication[],
  publisher: Publisher,
): MaybePromise<readonly Publication[] | Denial> {
  const verdicts: MaybePromise<Verdict>[] = [];
  let waits = false;
  for (const item of items) {
    const verdict = runHooks(hooks.publish, item, publisher);
    verdicts.push(verdict);
    if (isPromise(verdict)) waits = true;
    // The policies need not look at what will not be published anyway.
    else if (verdict && verdict.kind !== 'consumed') break;
  }
  if (waits) return Promise.all(verdicts.map(async (verdict) => verdict)).then((settled) => judged(items, settled));
  // None is a promise, which the compiler cannot see.
  return judged(items, verdicts as readonly Verdict[]);
}

function judged(items: readonly Publication[], verdicts: readonly Verdict[]): readonly Publication[] | Denial {
  for (const verdict of verdicts) {
    if (verdict?.kind === 'deny') return verdict;
    // A publisher is told to wait instead of being kept waiting.
    if (verdict?.kind === 'delay') return deny('rate-limited', 'Too many publications.', { retryAfterMs: verdict.ms });
  }
  return items.filter((_item, i) => verdicts[i] === undefined);
}

function answerWith(
  response: ServerResponse,
  log: Log,
  run: () => MaybePromise<Denial | undefined>,
  form: 'text' | 'json',
): MaybePromise<void> {
  const finish = (denial: Denial | undefined): void => send(response, denial ? denialAnswer(denial) : published[form]);
  const fail = (thrown: unknown): void => send(response, failureAnswer(thrown, log));
  try {
    const denial = run();
    return isPromise(denial) ? denial.then(finish).catch(fail) : finish(denial);
  } catch (thrown) {
    return fail(thrown);
  }
}

function denialAnswer(denial: Denial): Answer {
  const { status, headers } = denialHead(denial);
  return textAnswer(status, denial.detail, headers);
}

function failureAnswer(thrown: unknown, log: Log): Answer {
  const error = toForegateError(thrown);
  const status = errorStatus(error);
  if (status >= 500) log.error('publish.failed', { code: error.code, error: error.cause ?? error });
  return textAnswer(status, error.message);
}
