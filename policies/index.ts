/** The policies that come with Foregate, by the name after `use:`. */
import type { PolicyDefinition } from '../gateway/core/policy.ts';
import { address } from './address.ts';
import { apiKey } from './api-key.ts';
import { basic } from './basic.ts';
import { channels } from './channels.ts';
import { forwardAuth } from './forward-auth.ts';
import { introspect } from './introspect.ts';
import { concurrency } from './concurrency.ts';
import { jwt } from './jwt.ts';
import { messageSchema } from './message-schema.ts';
import { messageSize } from './message-size.ts';
import { mtls } from './mtls.ts';
import { origin } from './origin.ts';
import { parameters } from './parameters.ts';
import { quota } from './quota.ts';
import { rateLimit } from './rate-limit.ts';
import { ticket } from './ticket.ts';
import { transform } from './transform.ts';

export const policies: readonly PolicyDefinition[] = [
  origin,
  address,
  jwt,
  introspect,
  apiKey,
  basic,
  mtls,
  forwardAuth,
  ticket,
  parameters,
  rateLimit,
  quota,
  concurrency,
  messageSize,
  messageSchema,
  channels,
  transform,
];
