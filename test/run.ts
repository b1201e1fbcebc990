/**
 * Runs the tests: `npm test`. Those that mostly wait (for timeouts, retries, idle times that the protocol gives in seconds) run beside
 * all others, in a process of their own, whose output comes at the end. The last line is the sum of both.
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { closingLine } from './support/reporter.ts';

const mocha = join(createRequire(import.meta.url).resolve('mocha/package.json'), '../bin/mocha.js');
const patient = [
  'test/conformance/**/*.test.ts',
  'test/doctor/**/*.test.ts',
  'test/engines/**/*.test.ts',
  'test/faults/**/*.test.ts',
  'test/protocol/keep-alive.test.ts',
];
const others = ['test/**/*.test.ts', ...patient.flatMap((pattern) => ['--ignore', pattern])];

interface Ended {
  readonly code: number;
  readonly output: string;
}

/** `shown`: its output also goes on at once. */
function run(args: readonly string[], shown: boolean): Promise<Ended> {
  const child = spawn(process.execPath, [mocha, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (shown) process.stdout.write(chunk);
    });
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ code: code ?? 1, output: Buffer.concat(chunks).toString() }));
  });
}

/** Passed, failed and skipped, as the reporter's last line has them; one failure where there is none. */
function totals({ output }: Ended): readonly number[] {
  const last = output.match(/^\d+ passed, \d+ failed(?:, \d+ skipped)?$/gm)?.at(-1);
  return last === undefined ? [0, 1, 0] : (last.match(/\d+/g) ?? []).map(Number);
}

const [rest, waiting] = await Promise.all([run(others, true), run(patient, false)]);
process.stdout.write(waiting.output);
const [passes = 0, failures = 0, pending = 0] = [0, 1, 2].map((i) => (totals(rest)[i] ?? 0) + (totals(waiting)[i] ?? 0));
process.stdout.write(`\n${closingLine({ passes, failures, pending })}\n`);
process.exitCode = Math.max(rest.code, waiting.code);
