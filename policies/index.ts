/** The policies that come with Foregate, by the name after `use:`. */
import type { PolicyDefinition } from '../gateway/core/policy.ts';
import { apiKey } from './api-key.ts';
import { basic } from './basic.ts';
import { forwardAuth } from './forward-auth.ts';
import { introspect } from './introspect.ts';
import { jwt } from './jwt.ts';
import { mtls } from './mtls.ts';
import { origin } from './origin.ts';
import { rateLimit } from './rate-limit.ts';

export const policies: readonly PolicyDefinition[] = [origin, jwt, introspect, apiKey, basic, mtls, forwardAuth, rateLimit];
