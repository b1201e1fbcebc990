/** The policies that come with Foregate, by the name after `use:`. */
import type { PolicyDefinition } from '../gateway/core/policy.ts';
import { address } from './address.ts';
import { apiKey } from './api-key.ts';
import { channels } from './channels.ts';
import { jwt } from './jwt.ts';
import { messageSchema } from './message-schema.ts';
import { messageSize } from './message-size.ts';
import { origin } from './origin.ts';
import { rateLimit } from './rate-limit.ts';
import { transform } from './transform.ts';

export const policies: readonly PolicyDefinition[] = [
  origin,
  address,
  jwt,
  apiKey,
  rateLimit,
  messageSize,
  messageSchema,
  channels,
  transform,
];
