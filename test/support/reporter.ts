/** The reporter of the test run: mocha's `spec`, closed by one line that a machine can read, `12 passed, 0 failed`. */
import Mocha from 'mocha';

const { EVENT_RUN_END } = Mocha.Runner.constants;

export interface Totals {
  readonly passes: number;
  readonly failures: number;
  readonly pending: number;
}

/** The closing line; skipped tests are named only where there are any. */
export function closingLine(totals: Totals): string {
  const line = `${totals.passes} passed, ${totals.failures} failed`;
  return totals.pending > 0 ? `${line}, ${totals.pending} skipped` : line;
}

// Mocha loads a reporter by the default export.
export default class Reporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    // Once more, because Spec prints its failures when the run ends: the last listener has the last word.
    runner.once(EVENT_RUN_END, () => {
      process.stdout.write(`\n${closingLine(this.stats)}\n`);
    });
  }
}
