/** The list of adapters: one folder per foreign system, everything Foregate knows of it inside. */
import type { Profile } from '../gateway/core/profile.ts';
import { apigeeProfile } from './apigee/profile.ts';
import { apisixProfile } from './apisix/profile.ts';
import { awsProfile } from './aws/profile.ts';
import { azureProfile } from './azure/profile.ts';
import { caddyProfile } from './caddy/profile.ts';
import { genericProfile } from './generic/profile.ts';
import { haproxyProfile } from './haproxy/profile.ts';
import { kongProfile } from './kong/profile.ts';
import { nginxProfile } from './nginx/profile.ts';
import { tykProfile } from './tyk/profile.ts';

export const adapters: readonly Profile[] = [
  genericProfile,
  kongProfile,
  tykProfile,
  apigeeProfile,
  apisixProfile,
  awsProfile,
  azureProfile,
  nginxProfile,
  caddyProfile,
  haproxyProfile,
];
