/** Drives the load generator of bench/load, whose head tells its modes and options and how it talks. */
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { startDialogue } from './children.ts';
import { workFolder } from './targets.ts';

export type LoadMode = 'echo' | 'http' | 'fanout' | 'conn' | 'hold' | 'poll';

export type LoadOptions = Readonly<Record<string, string | number>>;

/** Called as the load generator gets there. What is in `begin` and `end` before the first await is done at once. */
export interface LoadSteps {
  /** Connections are open; it goes on when this has ended. */
  ready?(): Promise<void>;
  begin?(): Promise<void>;
  end?(): Promise<void>;
}

/** Figures of the load generator, under its own names. */
export type LoadResult = ReadonlyMap<string, number>;

/** @throws Error when it gives up, and with the reason when it names one. */
export async function runLoad(mode: LoadMode, options: LoadOptions, steps: LoadSteps = {}): Promise<LoadResult> {
  const values = Object.entries(options).map(([key, value]) => `${key}=${value}`);
  const { child, process } = startDialogue([join(workFolder, 'loadgen'), mode, ...values]);
  // It may end before the line it waits for is written.
  process.stdin?.on('error', () => {});
  try {
    if (process.stdout === null) throw new Error('The load generator has no output.');
    for await (const line of createInterface(process.stdout)) {
      if (line.startsWith('RESULT ')) return parseResult(line.slice('RESULT '.length));
      await take(line, steps);
      if (line === 'READY') process.stdin?.write('\n');
    }
    throw new Error('The load generator ended without a result.');
  } finally {
    await child.stop();
  }
}

/** The same for a load beside another: `begun` resolves when it measures. */
export function startLoad(
  mode: LoadMode,
  options: LoadOptions,
): { readonly begun: Promise<void>; readonly ended: Promise<LoadResult> } {
  let begin = (): void => {};
  const measuring = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const ended = runLoad(mode, options, { begin: async () => begin() });
  return { begun: Promise.race([measuring, ended.then(() => {})]), ended };
}

async function take(line: string, steps: LoadSteps): Promise<void> {
  if (line === 'READY') await steps.ready?.();
  if (line === 'MEASURE') await steps.begin?.();
  if (line === 'END') await steps.end?.();
}

function parseResult(text: string): LoadResult {
  const value: unknown = JSON.parse(text);
  const members = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  const error = members.find(([key]) => key === 'error');
  if (error !== undefined) throw new Error(`The load generator gave up: ${text}`);
  return new Map(members.filter((member): member is [string, number] => typeof member[1] === 'number'));
}
