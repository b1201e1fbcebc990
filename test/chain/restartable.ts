/** A gateway's program that is killed and started again. */
import { readFile } from 'node:fs/promises';
import { waitForPort, type Process } from '../support/processes.ts';
import type { ChainGateway } from './chain-gateway.ts';

export interface Restartable extends Pick<ChainGateway, 'kill' | 'start' | 'stop'> {
  /** Of the running program. @throws Error if it does not run */
  pid(): number;
}

/** Starts it with `launch`, and waits for each of the ports. */
export async function startRestartable(launch: () => Process, ...ports: number[]): Promise<Restartable> {
  let running: Process | undefined;
  const start = async (): Promise<void> => {
    if (running) return;
    running = launch();
    for (const port of ports) await waitForPort(port, running, 30_000);
  };
  const kill = async (): Promise<void> => {
    if (!running) return;
    const children = await childrenOf(running.pid);
    // The program first, or it would start its workers anew; its outputs close when they are gone, too.
    [running.pid, ...children].forEach(killHard);
    await running.ended;
    running = undefined;
  };
  const pid = (): number => {
    if (!running) throw new Error('The gateway does not run.');
    return running.pid;
  };
  await start();
  return { start, kill, pid, stop: async () => running?.stop() };
}

/** Workers outlive a program that is killed. */
async function childrenOf(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return children.split(' ').filter(Boolean).map(Number);
}

function killHard(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
