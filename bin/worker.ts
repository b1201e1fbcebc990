/** One of several workers of `foregate run`: a whole Foregate that does what its primary says. */
import type { LoadedConfig } from '../gateway/config/load.ts';
import { realClock } from '../gateway/core/clock.ts';
import { ClusterMember } from '../gateway/engines/cluster-member.ts';
import { isFrame } from '../gateway/engines/cluster-messages.ts';
import type { Foregate } from '../gateway/foregate.ts';
import type { ConfigurationText } from './configuration.ts';
import { codeOf, messageOf } from './exit.ts';
import { createLog } from './log.ts';
import type { Order, Report } from './worker-messages.ts';

export interface WorkerTerms {
  readonly number: number;
  readonly load: (configuration: ConfigurationText) => Promise<LoadedConfig>;
}

/** Goes on until the primary tells it to stop, or is gone. */
export function runWorker(terms: WorkerTerms): void {
  const worker = new Worker(terms);
  // Signals often go to all processes of a service: the primary says what becomes of them.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  process.on('message', (message) => {
    if (isFrame(message)) worker.member?.take(message);
    else void worker.obey(message as Order); // Nobody but the primary has the other end.
  });
}

class Worker {
  readonly #terms: WorkerTerms;
  member: ClusterMember | undefined;
  #foregate: Foregate | undefined;

  constructor(terms: WorkerTerms) {
    this.#terms = terms;
  }

  async obey(order: Order): Promise<void> {
    if (order.kind === 'stop') return this.#stop();
    try {
      report(order.kind === 'start' ? await this.#start(order) : await this.#reload(order.configuration));
    } catch (error) {
      report({ kind: 'failed', message: messageOf(error), code: codeOf(error) });
    }
  }

  async #start({ configuration, programKey }: Extract<Order, { readonly kind: 'start' }>): Promise<Report> {
    const { number, load } = this.#terms;
    const loaded = await load(configuration);
    const log = createLog(loaded.settings.log, process.stdout, { worker: number });
    // Without a channel there is no primary either, and this process ends.
    const send = (frame: readonly unknown[], written: () => void): void =>
      void process.send?.(frame, undefined, undefined, () => written());
    const member = new ClusterMember({ number, programKey, send, clock: realClock, log });
    this.member = member;
    const { createWorker } = await import('../gateway/foregate.ts');
    const foregate = await createWorker(loaded, { log, member });
    await foregate.start();
    this.#foregate = foregate;
    return { kind: 'started', addresses: foregate.addresses };
  }

  async #reload(configuration: ConfigurationText): Promise<Report> {
    if (this.#foregate === undefined) throw new Error('The worker has not started.');
    return { kind: 'reloaded', reloaded: await this.#foregate.reload(await this.#terms.load(configuration)) };
  }

  async #stop(): Promise<void> {
    try {
      await this.#foregate?.stop();
      process.exit(0);
    } catch (error) {
      console.error(messageOf(error));
      process.exit(1);
    }
  }
}

function report(what: Report): void {
  process.send?.(what);
}
