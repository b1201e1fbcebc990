/** Limits that belong to one key of `api-key`: what they look like in the file, and how the policies that count find them. */
import { Type, type Static } from 'typebox';
import { toMs } from '../gateway/core/duration.ts';
import type { Identity, OwnLimits } from '../gateway/core/session.ts';
import { isBy } from './caller.ts';

const Amount = (description: string) => Type.Optional(Type.Integer({ minimum: 1, description }));

export const OwnLimitsSchema = Type.Object(
  {
    messages: Amount('For `rate-limit` of messages: so many in `window`.'),
    bytes: Amount('The same for bytes.'),
    connections: Amount('The same for connections.'),
    subscriptions: Amount('The same for subscriptions.'),
    publishes: Amount('The same for published items.'),
    window: Type.String({ pattern: '^[1-9][0-9]{0,8}(ms|s|m|h|d)$', default: '1s', description: 'Length of the window.' }),
    quota: Amount('For `quota`: so many messages in its period.'),
  },
  {
    additionalProperties: false,
    description:
      'What this key may have, in place of what the policies `rate-limit` and `quota` of the route say for all, where they count `by: key` or `by: subject`. Only policies that are there count.',
  },
);

const amounts = ['messages', 'bytes', 'connections', 'subscriptions', 'publishes', 'quota'] as const;
const longestWindowMs = 24 * 86_400_000;

/** From options that the schema has checked. Undefined: a window that cannot be. */
export function ownLimits({ window, ...own }: Static<typeof OwnLimitsSchema>): OwnLimits | undefined {
  const windowMs = toMs(window);
  return windowMs > longestWindowMs ? undefined : { ...own, windowMs };
}

/** From an entry of a file. Undefined: it is none. */
export function readOwnLimits(written: unknown): OwnLimits | undefined {
  if (typeof written !== 'object' || written === null) return undefined;
  const { window = '1s', ...rest } = written as Readonly<Record<string, unknown>>;
  const isKnown = Object.entries(rest).every(([name, value]) => amounts.some((known) => known === name) && isAmount(value));
  if (!isKnown || typeof window !== 'string' || !/^[1-9]\d{0,8}(ms|s|m|h|d)$/.test(window)) return undefined;
  return ownLimits({ ...rest, window });
}

function isAmount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 1;
}

/** Those of the caller, if it is counted by what they belong to. */
export function ownLimitsOf(identity: Identity | undefined, by: string | readonly string[]): OwnLimits | undefined {
  return identity?.limits !== undefined && (isBy(by, 'key') || isBy(by, 'subject')) ? identity.limits : undefined;
}
