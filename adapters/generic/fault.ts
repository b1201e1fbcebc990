/** Refusals of a gateway of which nothing special is known: understood by their status. */
import type { ErrorCode } from '../../gateway/core/errors.ts';
import type { Reply } from '../../gateway/core/exchange.ts';
import { header } from '../../gateway/core/headers.ts';
import type { Fault, FaultKind } from '../../gateway/core/profile.ts';
import { retryAfterMs } from '../wait.ts';

export function genericFault(reply: Reply): Fault {
  const [kind, code, detail] = isThrottled(reply) ? throttled : meaning(reply.status);
  const wait = retryAfterMs(header(reply.headers, 'retry-after') ?? '');
  return { kind, code, detail, ...(wait !== undefined && { retryAfterMs: wait }) };
}

type Meaning = readonly [FaultKind, ErrorCode, string];

const throttled: Meaning = ['throttled', 'rate-limited', 'The gateway has seen too many requests.'];

function meaning(status: number): Meaning {
  if (status === 401) return ['unauthenticated', 'unauthorized', 'The gateway refused the credentials.'];
  if (status === 403) return ['forbidden', 'forbidden', 'The gateway does not allow this.'];
  if (status === 413) return ['too-large', 'message-too-large', 'The message is too large for the gateway.'];
  if (status === 200) return ['upstream', 'bad-reply', 'The answer was not one of WebSocket-over-HTTP.'];
  return ['upstream', 'downstream-fault', `The gateway or the backend answered ${status}.`];
}

/**
 * 429, and its disguises: a quota told as 403 (Tyk, Azure, microgateway), a spike told as 503 (microgateway), and any refusal whose
 * limit fields say that nothing is left (express-gateway turns its own 429 into 406 where text is not accepted).
 */
function isThrottled({ status, headers, body }: Reply): boolean {
  if (status === 429) return true;
  if (status < 400) return false;
  const text = body.toString('latin1', 0, textBytes);
  if (status === 403 && /quota/i.test(text)) return true;
  if (status === 503 && /spike\s?arrest/i.test(text)) return true;
  return header(headers, 'retry-after') !== undefined && remainingFields.some((name) => header(headers, name)?.trim() === '0');
}

/** As much of a refusal as is looked at. */
const textBytes = 2000;
const remainingFields = ['x-ratelimit-remaining', 'ratelimit-remaining'] as const;
