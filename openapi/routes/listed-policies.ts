/** Policies that extensions and `defaults` list, each with its place. */
import type { Mapping } from '../../gateway/core/mapping.ts';
import type { Origin, Origins } from '../document/origins.ts';

export interface PlacedPolicy {
  readonly value: unknown;
  readonly origin: Origin;
}

/** The list under a key; what is no list is told by the schema of the settings. */
export function listedPolicies(owner: Mapping, key: string): PlacedPolicy[] {
  const list = owner[key];
  return Array.isArray(list) ? list.map((value: unknown, index) => ({ value, origin: { owner: list, key: index } })) : [];
}

/** Lists replace one another: the innermost level that has one. */
export function innermost(levels: readonly Mapping[], name: string): Mapping | undefined {
  return levels.findLast((level) => level[name] !== undefined);
}

/** `x-foregate-channels` as the policy `channels`. */
export function channelsPolicy(levels: readonly Mapping[], origins: Origins): Mapping[] {
  const owner = innermost(levels, 'x-foregate-channels');
  if (owner === undefined) return [];
  const origin = { owner, key: 'x-foregate-channels' };
  return [
    origins.mapping([
      { key: 'use', value: 'channels', origin },
      { key: 'allow', value: owner['x-foregate-channels'], origin },
    ]),
  ];
}
