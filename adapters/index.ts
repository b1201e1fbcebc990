/** The list of adapters: one folder per foreign system, everything Foregate knows of it inside. */
import type { Adapter } from '../gateway/core/adapter.ts';
import { apigee } from './apigee/adapter.ts';
import { apisix } from './apisix/adapter.ts';
import { aws } from './aws/adapter.ts';
import { azure } from './azure/adapter.ts';
import { caddy } from './caddy/adapter.ts';
import { generic } from './generic/adapter.ts';
import { haproxy } from './haproxy/adapter.ts';
import { kong } from './kong/adapter.ts';
import { nginx } from './nginx/adapter.ts';
import { tyk } from './tyk/adapter.ts';

export const adapters: readonly Adapter[] = [generic, kong, tyk, apigee, apisix, aws, azure, nginx, caddy, haproxy];
