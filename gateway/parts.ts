/** What a configuration may name: everything that comes with Foregate. */
import { adapters } from '../adapters/index.ts';
import { policies } from '../policies/index.ts';
import type { Parts } from './config/parts.ts';

export const parts: Parts = { policies, adapters };
