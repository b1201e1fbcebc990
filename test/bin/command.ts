/** Runs the command from its sources, as a user would run it. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { startProcess, type Process, type ProcessTerms } from '../support/processes.ts';

const program = join(import.meta.dirname, '..', '..', 'bin', 'foregate.ts');

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs it to its end. */
export function foregate(args: readonly string[], { cwd, env }: ProcessTerms = {}): Promise<Ended> {
  return new Promise((resolve) => {
    // GRIP_URL of whoever runs the tests must not lead them anywhere.
    const environment = { ...process.env, GRIP_URL: undefined, ...env };
    execFile(process.execPath, [program, ...args], { cwd, env: environment, timeout: 9000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

/** Starts it and leaves it running; ended with the tests at the latest. */
export function startForegate(args: readonly string[], terms: ProcessTerms): Process {
  return startProcess(process.execPath, [program, ...args], terms);
}

/** Waits until the output has the pattern so many times; the last match. @throws Error with the output after 8 s */
export async function outputOf(started: Process, pattern: RegExp, times = 1): Promise<RegExpMatchArray> {
  const deadline = Date.now() + 8000;
  while (Date.now() < deadline) {
    const found = [...started.output().matchAll(new RegExp(pattern, 'g'))];
    const last = found[times - 1];
    if (last) return last;
    await after(20);
  }
  throw new Error(`The output has no ${String(pattern)}:\n${started.output()}`);
}
