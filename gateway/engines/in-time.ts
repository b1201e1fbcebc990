/** Waiting with an end. */

/** Undefined after the time. What has arrived by then still counts: it was this process that was late. */
export function inTime<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(() => resolve(undefined)), ms);
    const settled = (): void => clearTimeout(timer);
    promise.then(resolve, reject).then(settled, settled);
  });
}
