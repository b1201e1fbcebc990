/** A store whose windows end by a clock that a test turns: that of the program has the time of its engine. */
import type { Clock } from '../core/clock.ts';
import type { Budget, Store, Taken } from '../core/store.ts';
import { memoryStore } from '../engines/memory-store.ts';

interface Window {
  points: number;
  readonly endsAt: number;
}

export function clockStore(clock: Clock): Store {
  const windows = new Map<string, Window>();
  const current = (key: string, { windowMs }: Budget): Window => {
    const window = windows.get(key);
    return window !== undefined && window.endsAt > clock.now() ? window : { points: 0, endsAt: clock.now() + windowMs };
  };
  const take = (key: string, budget: Budget, cost: number): Taken => {
    const window = current(key, budget);
    window.points += Math.max(0, Math.ceil(cost));
    if (window.points > 0) windows.set(key, window);
    const remaining = budget.limit - window.points;
    const resetMs = window.points > 0 ? window.endsAt - clock.now() : 0;
    return { allowed: remaining >= 0, remaining: Math.max(0, remaining), resetMs };
  };
  return { ...memoryStore(), take };
}
