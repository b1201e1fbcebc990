/** The workers of `foregate run`, as the primary sees them: started, told, replaced when they end, stopped. */
import cluster, { type Worker } from 'node:cluster';
import { randomBytes } from 'node:crypto';
import { realClock } from '../gateway/core/clock.ts';
import { programKeyBytes } from '../gateway/core/policy.ts';
import { limits } from '../gateway/core/limits.ts';
import type { Log } from '../gateway/core/log.ts';
import { isFrame } from '../gateway/engines/cluster-messages.ts';
import { ClusterPrimary, type Connected } from '../gateway/engines/cluster-primary.ts';
import type { Foregate, Reloaded } from '../gateway/foregate.ts';
import type { ConfigurationText } from './configuration.ts';
import { WorkerError } from './exit.ts';
import { workerVariable, type Order, type Report } from './worker-messages.ts';

export interface WorkersTerms {
  readonly count: number;
  readonly configuration: ConfigurationText;
  readonly log: Log;
}

/** The place of a worker: whoever stands in it has its number. */
interface Slot {
  readonly number: number;
  worker: RunningWorker | undefined;
  /** It serves clients. */
  up: boolean;
  upAtMs: number;
  /** So often in a row it ended soon. */
  failures: number;
}

export class Workers {
  readonly #log: Log;
  readonly #primary: ClusterPrimary;
  readonly #slots: readonly Slot[];
  readonly #programKey = randomBytes(programKeyBytes);
  /** The last one that a worker has taken. */
  #configuration: ConfigurationText;
  /** Of the workers, whatever the primary has by then. */
  readonly #umask = process.umask();
  #stopping = false;

  constructor({ count, configuration, log }: WorkersTerms) {
    this.#log = log;
    this.#configuration = configuration;
    this.#primary = new ClusterPrimary({ clock: realClock, log });
    this.#slots = Array.from({ length: count }, (_, index) => ({
      number: index + 1,
      worker: undefined,
      up: false,
      upAtMs: 0,
      failures: 0,
    }));
    const [, exec = '', ...args] = process.argv;
    cluster.setupPrimary({ exec, args, serialization: 'advanced' });
  }

  /** The first one alone, so that what is wrong is told once. @throws WorkerError, and then all have ended */
  async start(): Promise<Foregate['addresses']> {
    const [first, ...others] = this.#slots;
    if (first === undefined) throw new TypeError('There must be a worker.');
    try {
      const addresses = await this.#start(first);
      await Promise.all(others.map(async (slot) => this.#start(slot)));
      this.#primary.complete();
      return addresses;
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  /** The first one alone: what it refuses the others are not told. @throws WorkerError, and then nothing has changed */
  async reload(configuration: ConfigurationText): Promise<Reloaded> {
    const [first, ...others] = this.#slots.filter(({ up }) => up);
    if (first === undefined) throw new WorkerError('No worker is up.', 1);
    const reloaded = [await this.#reload(first, configuration)];
    this.#configuration = configuration;
    for (const slot of others) {
      const more = await this.#reloadOrTell(slot);
      if (more !== undefined) reloaded.push(more);
    }
    return {
      routes: reloaded[0]?.routes ?? 0,
      kept: sum(reloaded.map(({ kept }) => kept)),
      drained: sum(reloaded.map(({ drained }) => drained)),
    };
  }

  /** Within `ms` they end by themselves, else they are ended. Resolves with the code of the program. */
  async stop(ms: number): Promise<number> {
    this.#stopping = true;
    const ends = this.#slots.map(async ({ worker }) => worker?.stop(ms) ?? 0);
    const codes = await Promise.all(ends);
    await this.#primary.close();
    return codes.every((code) => code === 0) ? 0 : 1;
  }

  #fork(number: number): Worker {
    const own = process.umask(this.#umask);
    try {
      return cluster.fork({ [workerVariable]: String(number) });
    } finally {
      process.umask(own);
    }
  }

  async #start(slot: Slot): Promise<Foregate['addresses']> {
    const configuration = this.#configuration;
    const worker = new RunningWorker(slot.number, this.#fork(slot.number), this.#primary);
    slot.worker = worker;
    void worker.ended.then((how) => this.#ended(slot, how));
    const { addresses } = await worker.order({ kind: 'start', configuration, programKey: this.#programKey }, 'started');
    slot.up = true;
    slot.upAtMs = realClock.now();
    this.#log.info('worker.started', { worker: slot.number, pid: worker.pid });
    if (configuration !== this.#configuration) await this.#reloadOrTell(slot);
    return addresses;
  }

  async #reload({ worker }: Slot, configuration: ConfigurationText): Promise<Reloaded> {
    if (worker === undefined) throw new WorkerError('The worker has ended.', 1);
    return (await worker.order({ kind: 'reload', configuration }, 'reloaded')).reloaded;
  }

  async #reloadOrTell(slot: Slot): Promise<Reloaded | undefined> {
    try {
      return await this.#reload(slot, this.#configuration);
    } catch (error) {
      this.#log.error('worker.failed', { worker: slot.number, error });
      return undefined;
    }
  }

  #ended(slot: Slot, how: string | number): void {
    const wasUp = slot.up;
    slot.worker = undefined;
    slot.up = false;
    // Before all are up `start` tells of it.
    if (this.#stopping || (!wasUp && slot.upAtMs === 0)) return;
    const soon = realClock.now() - slot.upAtMs < limits.restartMaxMs;
    slot.failures = wasUp && !soon ? 0 : slot.failures + 1;
    const inMs = Math.min(limits.restartMaxMs, limits.restartMs * 2 ** Math.max(0, slot.failures - 1));
    this.#log.error('worker.ended', { worker: slot.number, by: how, replacedInMs: inMs });
    setTimeout(() => void this.#replace(slot), inMs);
  }

  async #replace(slot: Slot): Promise<void> {
    if (this.#stopping) return;
    try {
      await this.#start(slot);
    } catch (error) {
      // It ends for that, and is replaced again.
      if (!this.#stopping) this.#log.error('worker.failed', { worker: slot.number, error });
      slot.worker?.kill();
    }
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((one, other) => one + other, 0);
}

interface Pending {
  readonly resolve: (report: Report) => void;
  readonly timer: NodeJS.Timeout;
}

/** One process. */
class RunningWorker {
  /** Resolves with its code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  readonly #worker: Worker;
  readonly #connected: Connected;
  #pending: Pending | undefined;
  #gone = false;

  constructor(number: number, worker: Worker, primary: ClusterPrimary) {
    this.#worker = worker;
    this.#connected = primary.connect(number, (frame, written) => void this.#worker.send(frame, () => written()));
    this.#worker.on('message', (message: unknown) => {
      if (isFrame(message)) this.#connected.take(message);
      else this.#reported(message as Report); // Nobody but the worker has the other end.
    });
    this.ended = new Promise((resolve) => {
      this.#worker.once('exit', (code, signal) => {
        this.#gone = true;
        this.#connected.gone();
        this.#reported({ kind: 'failed', message: `Worker ${number} ended by ${signal ?? code}.`, code: 1 });
        resolve(signal ?? code);
      });
    });
  }

  /** @throws WorkerError if it cannot do it, ends, or takes longer than {@link limits.workerReplyMs}; then it is ended */
  async order<Kind extends Report['kind']>(order: Order, done: Kind): Promise<Extract<Report, { readonly kind: Kind }>> {
    if (this.#gone) throw new WorkerError('The worker has ended.', 1);
    const report = await new Promise<Report>((resolve) => {
      this.#pending = { resolve, timer: setTimeout(() => this.kill(), limits.workerReplyMs) };
      // One that cannot be told has ended, which answers it.
      this.#worker.send(order, () => {});
    });
    if (report.kind === done) return report as Extract<Report, { readonly kind: Kind }>;
    throw report.kind === 'failed'
      ? new WorkerError(report.message, report.code)
      : new TypeError(`Not asked for: ${report.kind}`);
  }

  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  async stop(ms: number): Promise<number | string> {
    const timer = setTimeout(() => this.kill(), ms);
    this.#worker.send({ kind: 'stop' } satisfies Order, () => {});
    const how = await this.ended;
    clearTimeout(timer);
    return how;
  }

  kill(): void {
    this.#worker.process.kill('SIGKILL');
  }

  #reported(report: Report): void {
    clearTimeout(this.#pending?.timer);
    this.#pending?.resolve(report);
    this.#pending = undefined;
  }
}
