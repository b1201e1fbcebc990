/** What a configuration may name with `use`: handed in by the caller, so that nothing registers itself. */
import type { Adapter } from '../core/adapter.ts';
import type { PolicyDefinition } from '../core/policy.ts';
import type { Problem } from '../core/problem.ts';

export interface Parts {
  readonly policies: readonly PolicyDefinition[];
  readonly adapters: readonly Adapter[];
}

/** A policy as a configuration uses it: its options are checked and complete. */
export interface LoadedPolicy {
  /** As written after `use`. */
  readonly use: string;
  readonly definition: PolicyDefinition;
  readonly options: Readonly<Record<string, unknown>>;
  /** For `any-of`: what stands in its `of`. */
  readonly alternatives?: readonly (readonly LoadedPolicy[])[];
  /** It decides, and everything passes. */
  readonly dryRun?: boolean;
  /** Where it stands, for what only its `create` can find wrong: `new ConfigError([{ ...place, message }])`. */
  readonly place: Omit<Problem, 'message'>;
}
