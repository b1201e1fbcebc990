/**
 * Hooks around every test: a rejection that nobody handled fails the test in which it was noticed, and processes that a test
 * left behind are ended with the run. Sockets and servers left open are named.
 */
import type { RootHookObject } from 'mocha';
import { stopProcesses } from './processes.ts';

const leakGraceMs = 15_000;
let unhandled: unknown[] = [];

// Mocha has its own listener, which ends the whole run with the first rejection; ours blames a test.
process.removeAllListeners('unhandledRejection');
process.on('unhandledRejection', (reason) => unhandled.push(reason));

export const mochaHooks: RootHookObject = {
  async afterEach() {
    await new Promise((resolve) => setImmediate(resolve)); // Rejections are reported after the microtasks of their turn.
    const reasons = unhandled;
    unhandled = [];
    if (reasons.length > 0) throw new Error('A promise was rejected and nobody handled it.', { cause: reasons[0] });
  },
  async afterAll() {
    await stopProcesses();
    watchForLeaks();
  },
};

/** A run that does not end by itself has left something open: it says what, and fails, instead of hanging. */
function watchForLeaks(): void {
  setTimeout(() => {
    process.stderr.write(
      `The tests are done, but the process is kept alive by: ${process.getActiveResourcesInfo().join(', ')}\n`,
    );
    // Mocha sets the exit code of its own run in an earlier listener.
    process.on('exit', () => {
      process.exitCode = 1;
    });
    process.exit(1);
  }, leakGraceMs).unref();
}
