/** Time as a part that can be exchanged: tests bring a clock that they turn by hand (`foregate/testing`). */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls `run` once after `ms`. The timer never keeps the process alive. */
  after(ms: number, run: () => void): Timer;
}

export const realClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    // setTimeout runs at once for delays that do not fit into 31 bits: wait for the longest there is instead.
    const timer = setTimeout(run, Math.min(ms, 0x7fff_ffff)).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
