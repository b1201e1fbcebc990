/** Says which channels a session may join, by patterns that may name who it is: a backend that was tricked, or is wrong, cannot give away others'. */
import { Type } from 'typebox';
import { ForegateError } from '../gateway/core/errors.ts';
import { definePolicy, deny, type Policy } from '../gateway/core/policy.ts';
import type { Identity } from '../gateway/core/session.ts';
import { claimText, placeholders } from './claim-text.ts';
import { AnswerText, answerText, Over, overOf } from './over.ts';
import { fitsParts } from './star-pattern.ts';

const ChannelsOptions = Type.Object(
  {
    allow: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: `Patterns of channels that may be joined; without them, all that are not denied. \`*\` stands for any text, also none; ${placeholders} stand for what they say, letter by letter. A pattern that names what the client has not fits no channel. Patterns are compared with the whole name that publishers use, so the route's \`channelPrefix\` is part of it. Separate values from \`*\` by a character they cannot have: \`org-{claims.org}-*\` of the organisation \`a\` fits the channels of the organisation \`a-b\` too.`,
    }),
    deny: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: 'Patterns of channels that may not be joined, whatever `allow` says. One of `allow` and `deny` is needed.',
    }),
    over: Over({
      default: 'refuse',
      description:
        'What happens when the backend, or the route itself, wants a session to join another channel: `refuse` (it does not join; this is counted and logged, and the backend is not told), `answer` (the same, and the client of a WebSocket gets an error message) or `close` the WebSocket with code 4403; a held response is answered with status 403, a stream ends.',
    }),
    text: AnswerText('With `over: answer`, the text message that is sent instead of the usual one.'),
  },
  { additionalProperties: false },
);

export const channels = definePolicy({
  name: 'channels',
  summary: 'Says which channels a client may be subscribed to, whoever asks for it.',
  options: ChannelsOptions,
  create({ allow, deny: denied, over: word, text }): Policy {
    const over = overOf(word, { possible: ['refuse', 'close', 'answer'], what: 'channels', reasons, text });
    if (allow.length + denied.length === 0)
      throw new ForegateError('bad-request', 'Give patterns of channels in "allow" or in "deny".');
    const allowing = allow.map(channelPattern);
    const denying = denied.map(channelPattern);
    const detail = 'A channel may not be joined.';
    const action = over === 'refuse' ? {} : { action: over };
    const refusal = deny('forbidden', detail, { ...action, ...answerText(text, { detail }) });
    return {
      subscribe({ identity }, channel) {
        if (fitsOne(denying, channel, identity)) return refusal;
        return allowing.length === 0 || fitsOne(allowing, channel, identity) ? undefined : refusal;
      },
    };
  },
});

const reasons = {
  drop: 'The backend is not told of a channel that is refused, so "refuse" is that already.',
  delay: 'The channel would be no other later.',
};

type ChannelPattern = (channel: string, identity: Identity | undefined) => boolean;

/** @throws ForegateError `bad-request` for a placeholder that is none */
function channelPattern(pattern: string): ChannelPattern {
  const texts = pattern.split('*').map(claimText);
  return (channel, identity) => {
    const parts: string[] = [];
    for (const text of texts) {
      const part = text(identity);
      if (part === undefined) return false;
      parts.push(part);
    }
    return fitsParts(channel, parts);
  };
}

function fitsOne(patterns: readonly ChannelPattern[], channel: string, identity: Identity | undefined): boolean {
  for (const fits of patterns) if (fits(channel, identity)) return true;
  return false;
}
