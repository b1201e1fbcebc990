/** Windows of one process that are longer than a timer can be: the months of quotas. */
import type { Budget, Taken } from '../core/store.ts';
import { Expiring } from './expiring.ts';

interface Window {
  endsAt: number;
  used: number;
}

export class MemoryWindows {
  readonly #windows: Expiring<Window>;

  /** Keys beyond `keysMax` share one window per kind of budget until there is room. */
  constructor(keysMax: number) {
    this.#windows = new Expiring(keysMax);
  }

  take(key: string, budget: Budget, cost: number): Taken {
    const now = Date.now();
    const window = this.#windows.find(key, now) ?? this.#begin(key, budget, now, cost);
    window.used += cost;
    const remaining = budget.limit - window.used;
    return { allowed: remaining >= 0, remaining: Math.max(0, remaining), resetMs: window.endsAt - now };
  }

  clear(): void {
    this.#windows.clear();
  }

  #begin(key: string, { limit, windowMs }: Budget, now: number, cost: number): Window {
    const window = { endsAt: now + windowMs, used: 0 };
    if (cost === 0 || this.#windows.add(key, window, now)) return window;
    const shared = `${together}${limit}`;
    const known = this.#windows.find(shared, now) ?? window;
    this.#windows.force(shared, known);
    return known;
  }
}

// No key of a policy begins with a control character.
const together = '\0together:';
