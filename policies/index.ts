/** The policies that come with Foregate, by the name after `use:`. */
import type { PolicyDefinition } from '../gateway/core/policy.ts';
import { apiKey } from './api-key.ts';
import { jwt } from './jwt.ts';
import { origin } from './origin.ts';
import { rateLimit } from './rate-limit.ts';
import { ticket } from './ticket.ts';

export const policies: readonly PolicyDefinition[] = [origin, jwt, apiKey, ticket, rateLimit];
