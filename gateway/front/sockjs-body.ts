/** Reads what a SockJS client sends in the body of a request. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { readBody, type BodyResult } from '../backend/request-body.ts';
import type { Clock } from '../core/clock.ts';
import { limits } from '../core/limits.ts';
import { readPayload, type Payload } from '../wire/sockjs-frames.ts';

interface Sending {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** A body that does not come in ends its connection, or its stream in HTTP/2. */
export async function readSend({ request, response }: Sending, bytesMax: number, clock: Clock): Promise<BodyResult> {
  const deadline = clock.after(limits.sockJsSendMs, () => response.destroy());
  const result = await readBody(request, bytesMax);
  deadline.cancel();
  return result;
}

/** Of a form its field `d`; of everything else all of it, whatever it is called. */
export function sentPayload(body: Buffer, form: boolean, contentType = ''): Payload {
  if (!isUtf8(body)) return { kind: 'flaw', text: 'Broken JSON encoding.' };
  const text = body.toString();
  const isForm = form && contentType.toLowerCase().startsWith('application/x-www-form-urlencoded');
  return readPayload(isForm ? (new URLSearchParams(text).get('d') ?? '') : text);
}
