/** The policies that come with Foregate, by the name after `use:`. */
import type { PolicyDefinition } from '../gateway/core/policy.ts';
import { apiKey } from './api-key.ts';
import { concurrency } from './concurrency.ts';
import { jwt } from './jwt.ts';
import { origin } from './origin.ts';
import { quota } from './quota.ts';
import { rateLimit } from './rate-limit.ts';

export const policies: readonly PolicyDefinition[] = [origin, jwt, apiKey, rateLimit, quota, concurrency];
