/**
 * Starts the programs that are measured and leaves none of them behind: each is ended by its id, with everything it has started
 * in turn, after each run and when the measuring itself is stopped.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { isRunning, processIds } from './processes.ts';

export interface Child {
  readonly pid: number;
  /** Resolves with its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** Ends it and everything it has started; returns when all of it is gone. */
  stop(): Promise<void>;
}

export interface StartTerms {
  readonly cwd?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

const host = '127.0.0.1';
const graceMs = 6000;
/** By process id. */
const running = new Map<number, Child>();

/** Starts a program whose output goes nowhere, or with BENCH_OUTPUT set, to the console. */
export function startChild(command: readonly string[], terms: StartTerms = {}): Child {
  const output = process.env['BENCH_OUTPUT'] === undefined ? 'ignore' : 'inherit';
  return adopt(spawnDetached(command, terms, ['ignore', output, output]));
}

/** Starts a program one talks with: `stdin` and `stdout` are pipes. */
export function startDialogue(command: readonly string[]): { readonly child: Child; readonly process: ChildProcess } {
  const started = spawnDetached(command, {}, ['pipe', 'pipe', 'inherit']);
  return { child: adopt(started), process: started };
}

/** Ends all that is still running, what was started last first. */
export async function stopChildren(): Promise<void> {
  for (const child of [...running.values()].toReversed()) await child.stop();
}

/** Resolves when something accepts connections. @throws Error after ten seconds. */
export async function waitForPort(port: number): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await listens(port))) {
    if (Date.now() > deadline) throw new Error(`Nothing listens on port ${port}.`);
    await after(50);
  }
}

/** @throws Error when somebody else listens there: it would be measured instead. */
export async function expectFree(port: number): Promise<void> {
  if (await listens(port)) throw new Error(`Port ${port} is in use by another program.`);
}

process.on('exit', () => {
  for (const root of running.keys()) for (const pid of processIds(root)) signal(pid, 'SIGKILL');
});
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => process.exit(1));

/** Detached, so that Ctrl-C reaches only this program, which then ends the others. */
function spawnDetached(
  command: readonly string[],
  { cwd, env }: StartTerms,
  stdio: ('ignore' | 'pipe' | 'inherit')[],
): ChildProcess {
  const [program = '', ...args] = command;
  return spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio, detached: true });
}

function adopt(started: ChildProcess): Child {
  const { pid } = started;
  if (pid === undefined) {
    started.on('error', () => {});
    throw new Error(`${started.spawnfile} cannot be started.`);
  }
  const ended = new Promise<number | string>((resolve) => {
    started.once('exit', (code, name) => resolve(code ?? name ?? 'nothing'));
  });
  const child: Child = { pid, ended, stop: () => endTree(pid, ended) };
  running.set(pid, child);
  return child;
}

/** Its root first: it may want to end its children in order. */
async function endTree(root: number, ended: Promise<unknown>): Promise<void> {
  if (!running.has(root)) return;
  // Now, because orphans get another parent.
  const pids = processIds(root);
  signal(root, 'SIGTERM');
  await Promise.race([ended, after(graceMs, undefined, { ref: false })]);
  if (!(await signalAll(pids, 'SIGTERM')) && !(await signalAll(pids, 'SIGKILL')))
    throw new Error(`Process ${root} does not end.`);
  running.delete(root);
}

/** Whether all of them are gone within two seconds. */
async function signalAll(pids: readonly number[], name: NodeJS.Signals): Promise<boolean> {
  const deadline = Date.now() + 2000;
  for (const pid of pids) if (isRunning(pid)) signal(pid, name);
  while (pids.some(isRunning)) {
    if (Date.now() > deadline) return false;
    await after(10);
  }
  return true;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended by itself.
  }
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, host);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
