/** The list of adapters: one folder per foreign system, everything Foregate knows of it inside. */
import type { Profile } from '../gateway/core/profile.ts';
import { genericProfile } from './generic/profile.ts';

export const adapters: readonly Profile[] = [genericProfile];
