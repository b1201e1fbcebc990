/** Calls of one connection take effect in the order in which they came, also where one has to wait (RFC 9112 section 9.3.2). */
import { isPromise, type MaybePromise } from '../core/promise.ts';

/** Calls that may wait behind another on their connection. */
const waitingMax = 64;

export class Turns {
  readonly #queues = new WeakMap<object, { last: Promise<void>; waiting: number }>();

  /** Runs a call now or when those before it are done; false when too many wait. `run` must not reject. */
  take(connection: object, run: () => MaybePromise<void>): boolean {
    const queue = this.#queues.get(connection);
    if (queue && queue.waiting >= waitingMax) return false;
    const done = queue ? queue.last.then(run) : run();
    if (isPromise(done)) this.#follow(connection, done, (queue?.waiting ?? 0) + 1);
    return true;
  }

  #follow(connection: object, done: Promise<void>, waiting: number): void {
    const queue = this.#queues.get(connection) ?? { last: done, waiting: 0 };
    queue.waiting = waiting;
    queue.last = done.then(() => {
      queue.waiting -= 1;
      if (queue.waiting === 0) this.#queues.delete(connection);
    });
    this.#queues.set(connection, queue);
  }
}
