/** Child processes of tests: started with their output kept, ended by their id, and never left behind. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';

export interface Process {
  readonly pid: number;
  /** What it has written to both outputs so far. */
  output(): string;
  /** Resolves with the code, or the signal's name, when it has ended. */
  readonly ended: Promise<number | string>;
  /** Ends it and waits; after `graceMs` (2000) it is killed. */
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<void>;
}

export interface ProcessTerms {
  readonly cwd?: string;
  /** Added to the environment of the tests; undefined removes. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const running = new Set<Process>();
const outputBytesMax = 200_000;

/** Starts a program; `stopProcesses` ends it with the test run at the latest. */
export function startProcess(file: string, args: readonly string[], terms: ProcessTerms = {}): Process {
  const child = spawn(file, args, { cwd: terms.cwd, env: { ...process.env, ...terms.env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = collectOutput(child);
  const ended = endOf(child);
  const started: Process = {
    pid: child.pid ?? -1,
    output,
    ended,
    stop: (signal = 'SIGTERM', graceMs = 2000) => stop(child, ended, signal, graceMs),
  };
  running.add(started);
  void ended.then(() => running.delete(started));
  return started;
}

/** Runs a program to its end; its output. @throws Error with the output, if it does not end with 0. */
export async function runProcess(file: string, args: readonly string[], terms: ProcessTerms = {}): Promise<string> {
  const started = startProcess(file, args, terms);
  const code = await started.ended;
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${code}:\n${started.output()}`);
  return started.output();
}

/** Ends everything that is still running. */
export async function stopProcesses(): Promise<void> {
  await Promise.all([...running].map((started) => started.stop()));
}

process.on('exit', () => {
  for (const { pid } of running) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
});

/** A port of the loopback that nobody listens on right now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // A TCP server has no other kind of address.
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves when something accepts connections at the port. @throws Error after `ms`, or when `owner` ends before. */
export async function waitForPort(port: number, owner?: Process, ms = 10_000): Promise<void> {
  const deadline = Date.now() + ms;
  let end: number | string | undefined;
  void owner?.ended.then((code) => (end = code));
  while (!(await accepts(port))) {
    if (end !== undefined) throw new Error(`The process ended with ${end} before it listened:\n${owner?.output()}`);
    if (Date.now() > deadline) throw new Error(`Nothing listens on port ${port} after ${ms} ms.\n${owner?.output() ?? ''}`);
    await after(20);
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function collectOutput(child: ChildProcess): () => string {
  let text = '';
  const add = (chunk: Buffer): void => {
    if (text.length < outputBytesMax) text += chunk.toString();
  };
  child.stdout?.on('data', add);
  child.stderr?.on('data', add);
  return () => text;
}

function endOf(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'no code'));
    child.once('error', (error) => resolve(error.message));
  });
}

async function stop(
  child: ChildProcess,
  ended: Promise<number | string>,
  signal: NodeJS.Signals,
  graceMs: number,
): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  child.kill(signal);
  await ended;
  clearTimeout(timer);
}
