/** Which ids were seen of late, so that an item published twice is delivered once (GRIP 6.4). */
import type { Clock } from '../core/clock.ts';

interface RecentIdsSettings {
  /** So long an id is known. */
  readonly memoryMs: number;
  /** Ids known at a time; over it the oldest are forgotten early. */
  readonly max: number;
}

export class RecentIds {
  readonly #clock: Clock;
  readonly #memoryMs: number;
  readonly #max: number;
  readonly #known = new Set<string>();
  /** The known ids and when they came, the oldest at `#first`: a set alone would be slow to find its oldest. */
  #ids: string[] = [];
  #times: number[] = [];
  #first = 0;
  #scheduled = false;

  constructor(clock: Clock, { memoryMs, max }: RecentIdsSettings) {
    this.#clock = clock;
    this.#memoryMs = memoryMs;
    this.#max = max;
  }

  get size(): number {
    return this.#known.size;
  }

  /** True for an id that is new; it is known from then on. An id that comes again is not known for longer. */
  add(id: string): boolean {
    if (this.#memoryMs === 0) return true;
    this.#forgetOld();
    if (this.#known.has(id)) return false;
    if (this.#known.size >= this.#max) this.#forgetFirst();
    this.#known.add(id);
    this.#ids.push(id);
    this.#times.push(this.#clock.now());
    this.#schedule();
    return true;
  }

  #forgetOld(): void {
    const since = this.#clock.now() - this.#memoryMs;
    for (let time = this.#times[this.#first]; time !== undefined && time <= since; time = this.#times[this.#first])
      this.#forgetFirst();
  }

  #forgetFirst(): void {
    const id = this.#ids[this.#first];
    if (id === undefined) return;
    this.#known.delete(id);
    this.#ids[this.#first] = '';
    this.#first += 1;
    if (this.#first > 1024 && this.#first * 2 > this.#ids.length) this.#compact();
  }

  #compact(): void {
    this.#ids = this.#ids.slice(this.#first);
    this.#times = this.#times.slice(this.#first);
    this.#first = 0;
  }

  /** Without a timer the ids of the last busy minute would stay until the next item comes. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.after(this.#memoryMs, () => {
      this.#scheduled = false;
      this.#forgetOld();
      if (this.#known.size > 0) this.#schedule();
    });
  }
}
