/** The ways of SockJS to get frames and to send messages (protocol 0.3.3), by the last part of their path. */
import type { PollForm } from '../session/sockjs-poll.ts';
import { callbackCall } from '../wire/sockjs-frames.ts';

export type SockJsTransport =
  | { readonly kind: 'poll'; readonly method: 'GET' | 'POST'; readonly form: PollForm }
  /** The answer is a script that calls what a parameter names. */
  | { readonly kind: 'callback'; readonly method: 'GET' }
  /** `form`: the messages may come in a field of a form. */
  | { readonly kind: 'send'; readonly method: 'POST'; readonly form: boolean }
  /** An upgrade, so nothing for a request without. */
  | { readonly kind: 'websocket'; readonly method: 'GET' };

const script = 'application/javascript; charset=UTF-8';
const line = (frame: string): string => `${frame}\n`;
const event = (frame: string): string => `data: ${frame}\r\n\r\n`;
/** Some browsers show nothing of an answer before they have 2 KiB of it. */
const filling = `${'h'.repeat(2048)}\n`;

export const sockJsTransports: ReadonlyMap<string, SockJsTransport> = new Map<string, SockJsTransport>([
  ['websocket', { kind: 'websocket', method: 'GET' }],
  ['xhr', { kind: 'poll', method: 'POST', form: { contentType: script, prelude: undefined, wrap: line } }],
  ['xhr_streaming', { kind: 'poll', method: 'POST', form: { contentType: script, prelude: filling, wrap: line } }],
  [
    'eventsource',
    { kind: 'poll', method: 'GET', form: { contentType: 'text/event-stream; charset=UTF-8', prelude: '\r\n', wrap: event } },
  ],
  ['jsonp', { kind: 'callback', method: 'GET' }],
  ['xhr_send', { kind: 'send', method: 'POST', form: false }],
  ['jsonp_send', { kind: 'send', method: 'POST', form: true }],
]);

export function callbackForm(callback: string): PollForm {
  return { contentType: script, prelude: undefined, wrap: (frame) => callbackCall(callback, frame) };
}
