/** Entries that are worth nothing from a time on, at most so many: those go when room is needed, so no entry needs a timer. */
export class Expiring<Entry extends { endsAt: number }> {
  readonly #entries = new Map<string, Entry>();
  readonly #entriesMax: number;
  #sweptAt = 0;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  find(key: string, now: number): Entry | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && entry.endsAt > now ? entry : undefined;
  }

  /** False where there is no room for one more. */
  add(key: string, entry: Entry, now: number): boolean {
    const hasRoom = this.#entries.has(key) || this.#entries.size < this.#entriesMax || this.#sweep(now);
    if (hasRoom) this.#entries.set(key, entry);
    return hasRoom;
  }

  /** Adds it also where there is no room: for the few that stand for all others. */
  force(key: string, entry: Entry): void {
    this.#entries.set(key, entry);
  }

  clear(): void {
    this.#entries.clear();
  }

  /** Looks at all of them, so not for every newcomer of a flood; true if there is room now. */
  #sweep(now: number): boolean {
    if (Math.abs(now - this.#sweptAt) < sweepEveryMs) return false;
    this.#sweptAt = now;
    for (const [key, { endsAt }] of this.#entries) if (endsAt <= now) this.#entries.delete(key);
    return this.#entries.size < this.#entriesMax;
  }
}

const sweepEveryMs = 1000;
