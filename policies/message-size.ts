/** Limits the size of messages: in bytes by their kind, and inside for JSON. The route's `limits.messageBytes` holds before it. */
import { Type, type Static } from 'typebox';
import { ForegateError, type ErrorCode } from '../gateway/core/errors.ts';
import type { Message } from '../gateway/core/event.ts';
import { definePolicy, deny, type Policy } from '../gateway/core/policy.ts';
import type { Denial } from '../gateway/core/session.ts';
import { checkBackendMessages } from './backend-messages.ts';
import { exceeded, type JsonBounds } from './json-extent.ts';
import { AnswerText, answerText, Over, overOf } from './over.ts';

const Amount = (minimum: number, description: string) => Type.Optional(Type.Integer({ minimum, description }));

const MessageSizeOptions = Type.Object(
  {
    textBytes: Amount(
      0,
      "Bytes of a text message, in UTF-8. At least one limit is needed. The route's `limits.messageBytes` holds for all messages, whatever stands here.",
    ),
    binaryBytes: Amount(0, 'Bytes of a binary message; `0` lets none in that has any.'),
    jsonDepth: Amount(
      0,
      'Levels of arrays and objects in a text message, as JSON counts them; `0` lets neither in. It is found out without making objects of the message, so a text that is no JSON is counted in the same way.',
    ),
    jsonKeys: Amount(0, 'Members that all objects of a text message have together.'),
    from: Type.Enum(['client', 'backend', 'both'], {
      default: 'client',
      description:
        'Whose messages are limited. `backend`: those in its answers, or that a WebSocket backend sends, with close code 1011; an answer with one over a limit is not carried out at all. Published items, keep-alives and delayed messages are not looked at.',
    }),
    over: Over({
      default: 'close',
      description:
        'What happens to a message over a limit: `close` the WebSocket with code 1009 (1011 for one of the backend), `drop` the message, or `answer` it with an error message. Pings, pongs and plain HTTP requests are not looked at.',
    }),
    text: AnswerText(
      'With `over: answer`, the text message that is sent instead of the usual one; `{detail}` in it becomes the sentence that says what is allowed, as it stands inside a JSON string.',
    ),
  },
  { additionalProperties: false },
);

export const messageSize = definePolicy({
  name: 'message-size',
  summary: 'Limits how large messages of WebSockets may be, in bytes and as JSON.',
  options: MessageSizeOptions,
  create(options): Policy {
    const { textBytes = Infinity, binaryBytes = Infinity } = options;
    const bounds = boundsOf(options);
    const check =
      (tooLarge: ReturnType<typeof refusals>) =>
      ({ kind, data }: Message): Denial | undefined => {
        if (kind === 'binary') return data.length > binaryBytes ? tooLarge.binary : undefined;
        if (kind !== 'text') return undefined;
        if (data.length > textBytes) return tooLarge.text;
        const over = bounds === undefined ? undefined : exceeded(data, bounds);
        return over === undefined ? undefined : tooLarge[over];
      };
    const checkClient = check(refusals(options, 'message-too-large'));
    return {
      ...(options.from !== 'backend' && { message: (_session, message) => checkClient(message) }),
      ...(options.from !== 'client' && { response: checkBackendMessages(check(refusals(options, 'reply-too-large'))) }),
    };
  },
});

type MessageSizeOptions = Static<typeof MessageSizeOptions>;

/** Undefined where no text has to be read. @throws ForegateError `bad-request` where nothing is limited */
function boundsOf({ textBytes, binaryBytes, jsonDepth, jsonKeys }: MessageSizeOptions): JsonBounds | undefined {
  if ([textBytes, binaryBytes, jsonDepth, jsonKeys].every((limit) => limit === undefined))
    throw new ForegateError('bad-request', 'Give at least one of "textBytes", "binaryBytes", "jsonDepth" and "jsonKeys".');
  if (jsonDepth === undefined && jsonKeys === undefined) return undefined;
  return { depth: jsonDepth ?? Infinity, keys: jsonKeys ?? Infinity };
}

/** Made once: a client that sends too much costs no more than others. */
function refusals({ textBytes, binaryBytes, jsonDepth, jsonKeys, over, text }: MessageSizeOptions, code: ErrorCode) {
  const reasons = { delay: 'A message would be no smaller later.' };
  const action = overOf(over, { possible: ['close', 'drop', 'answer'], what: 'the size of messages', reasons, text });
  const refusal = (detail: string): Denial => deny(code, detail, { action, ...answerText(text, { detail }) });
  return {
    text: refusal(`A text message may have ${textBytes} bytes.`),
    binary: refusal(`A binary message may have ${binaryBytes} bytes.`),
    depth: refusal(`A message may have ${jsonDepth} levels of arrays and objects.`),
    keys: refusal(`The objects of a message may have ${jsonKeys} members.`),
  } as const satisfies Record<string, Denial>;
}
