/** CPU time and memory of a process and all its children, and how busy the machine is, from /proc (proc(5), Linux). */
import { readdirSync, readFileSync } from 'node:fs';

/** Of the whole machine, since it was started; idle and waiting time is not busy. */
export interface MachineTime {
  readonly busySeconds: number;
  readonly allSeconds: number;
}

interface Process {
  readonly pid: number;
  readonly state: string;
  readonly parent: number;
  readonly cpuSeconds: number;
}

/** The kernel tells times in hundredths of a second (USER_HZ), whatever its own clock. */
const ticksPerSecond = 100;
/** Zombie and dead. */
const ended = ['Z', 'X'];

/** User and system time that a process and its children have used. Children that ended are left out. */
export function cpuSeconds(root: number): number {
  return processTree(root).reduce((sum, found) => sum + found.cpuSeconds, 0);
}

/** Proportional set size of a process and its children: pages shared with other processes count in part. */
export function memoryKb(root: number): number {
  return processTree(root).reduce((sum, { pid }) => sum + pssKb(pid), 0);
}

/** Ids of a process and of all its children that run. */
export function processIds(root: number): number[] {
  return processTree(root).map(({ pid }) => pid);
}

/** A process that has ended, and that its parent has not asked for yet, does not run. */
export function isRunning(pid: number): boolean {
  const found = readProcess(pid);
  return found !== undefined && !ended.includes(found.state);
}

export function machineTime(): MachineTime {
  const line = readFileSync('/proc/stat', 'utf8').split('\n')[0] ?? '';
  // cpu user nice system idle iowait irq softirq steal; guest time is part of user time.
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const all = ticks.reduce((sum, n) => sum + n, 0);
  const idle = (ticks[3] ?? 0) + (ticks[4] ?? 0);
  return { busySeconds: (all - idle) / ticksPerSecond, allSeconds: all / ticksPerSecond };
}

/** Open files that this process and those it starts may have. Node has raised the soft limit to the hard one. */
export function openFilesMax(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1] ?? '0';
  return soft === 'unlimited' ? Infinity : Number(soft);
}

function processTree(root: number): Process[] {
  const everything = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? []);
  const wanted = new Set([root]);
  for (let before = 0; before < wanted.size;) {
    before = wanted.size;
    for (const { pid, parent } of everything) if (wanted.has(parent)) wanted.add(pid);
  }
  return everything.filter(({ pid }) => wanted.has(pid));
}

/** Undefined when it has ended meanwhile. */
function readProcess(pid: number): Process | undefined {
  const text = readOrNothing(`/proc/${pid}/stat`);
  // The name in brackets may hold anything, so what follows is counted from its end: state, parent, ...
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (fields.length < 13) return undefined;
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { pid, state: fields[0] ?? '', parent: Number(fields[1]), cpuSeconds: ticks / ticksPerSecond };
}

function pssKb(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(readOrNothing(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
}

function readOrNothing(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
