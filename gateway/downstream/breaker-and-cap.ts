/** The guard of one target, shared by all that send there: its breaker and its cap on requests in flight. */
import type { Clock } from '../core/clock.ts';
import { ForegateError, type ErrorCode } from '../core/errors.ts';
import type { Downstream, Reply } from '../core/exchange.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { FaultKind, Profile } from '../core/profile.ts';
import { isPromise, type MaybePromise } from '../core/promise.ts';
import type { CircuitState, Pass, TargetGuard, TargetReport } from '../core/target-guard.ts';
import { Breaker, type BreakerTerms } from './breaker.ts';
import { InFlight, type InFlightTerms } from './in-flight.ts';

export interface GuardTerms {
  readonly origin: string;
  readonly breaker: BreakerTerms | undefined;
  readonly inFlight: InFlightTerms | undefined;
}

export interface GuardParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

export class BreakerAndCap implements TargetGuard {
  readonly #origin: string;
  readonly #parts: GuardParts;
  readonly #breaker: Breaker | undefined;
  readonly #inFlight: InFlight | undefined;

  constructor({ origin, breaker, inFlight }: GuardTerms, parts: GuardParts) {
    this.#origin = origin;
    this.#parts = parts;
    this.#breaker = breaker && new Breaker(breaker, parts.clock, (state, was, seen) => this.#tell(state, { was, ...seen }));
    this.#inFlight = inFlight && new InFlight(inFlight, parts.clock);
  }

  enter(): MaybePromise<Pass> {
    return this.#counted(() => {
      this.#breaker?.check(); // Nobody has to wait to be told that there is nothing to wait for.
      const turn = this.#inFlight?.enter();
      return turn === undefined ? this.#pass() : this.#later(turn);
    });
  }

  ready(ms: number): MaybePromise<boolean> {
    return this.#breaker?.ready(ms) ?? true;
  }

  report(): TargetReport {
    return {
      target: this.#origin,
      ...(this.#breaker && { circuit: this.#breaker.state }),
      ...(this.#inFlight && { inFlight: this.#inFlight.report() }),
    };
  }

  async #later(turn: Promise<void>): Promise<Pass> {
    try {
      await turn;
    } catch (thrown) {
      this.#parts.metrics.count('target_overloads');
      throw thrown;
    }
    return this.#counted(() => this.#pass());
  }

  /** The circuit may have opened while the request waited. */
  #pass(): Pass {
    let era: number | undefined;
    try {
      era = this.#breaker?.enter();
    } catch (thrown) {
      this.#inFlight?.leave();
      throw thrown;
    }
    return this.#made(era, this.#parts.clock.now());
  }

  #made(era: number | undefined, beganAt: number): Pass {
    let judged = false;
    let left = false;
    return {
      judge: (result) => {
        if (judged || left) return;
        judged = true;
        if (era !== undefined) this.#breaker?.judge(era, result === 'failed');
        this.#inFlight?.learn(beganAt, result === 'failed');
      },
      leave: () => {
        if (left) return;
        left = true;
        if (!judged && era !== undefined) this.#breaker?.abandon(era);
        this.#inFlight?.leave();
      },
    };
  }

  #counted<T>(enter: () => T): T {
    try {
      return enter();
    } catch (thrown) {
      const isOpen = thrown instanceof ForegateError && thrown.code === 'circuit-open';
      this.#parts.metrics.count(isOpen ? 'circuit_refusals' : 'target_overloads');
      throw thrown;
    }
  }

  #tell(state: CircuitState, what: { was: CircuitState; failures: number; requests: number }): void {
    const { was, failures, requests } = what;
    const fields = { target: this.#origin, state, was, ...(state === 'open' && { failures, requests }) };
    if (state === 'open') this.#parts.log.warn('circuit.changed', fields);
    else this.#parts.log.info('circuit.changed', fields);
  }
}

/** A downstream whose requests go past the guard. A limit that the gateway in between tells as 503 says nothing of the target. */
export function guarded(downstream: Downstream, guard: TargetGuard, { fault }: Pick<Profile, 'fault'>): Downstream {
  const statusOf = (reply: Reply): number => (reply.status === 503 && isLimit(fault(reply).kind) ? 429 : reply.status);
  return {
    send: async (draft, terms) => withPass(await guard.enter(), () => downstream.send(draft, terms), statusOf),
    back: (ms) => backAndReady(downstream, guard, ms),
  };
}

function isLimit(kind: FaultKind): boolean {
  return kind === 'throttled' || kind === 'quota';
}

/** Asks the guard; it mostly answers at once, and then so does this. */
export function askGuard(guard: TargetGuard, passed: (pass: Pass) => void, refused: (thrown: unknown) => void): void {
  let entering: MaybePromise<Pass>;
  try {
    entering = guard.enter();
  } catch (thrown) {
    refused(thrown);
    return;
  }
  if (isPromise(entering)) entering.then(passed, refused);
  else passed(entering);
}

/** Makes a request with its pass: judged by the status of its answer or by its error, and left. */
export async function withPass<Answer>(
  pass: Pass,
  request: () => Promise<Answer>,
  statusOf: (answer: Answer) => number,
): Promise<Answer> {
  try {
    const answer = await request();
    pass.judge(verdictOn(statusOf(answer)));
    return answer;
  } catch (thrown) {
    if (thrown instanceof ForegateError && isFailure(thrown.code)) pass.judge('failed');
    throw thrown;
  } finally {
    pass.leave();
  }
}

/** While its circuit is open a target is not looked for: whether it can be connected to is not what matters. */
async function backAndReady(downstream: Downstream, guard: TargetGuard, ms: number): Promise<boolean> {
  const { circuit = 'closed' } = guard.report();
  return circuit === 'closed' ? downstream.back(ms) : guard.ready(ms);
}

/** What a status says of a target: these are its own failures, others are answers. */
export function verdictOn(status: Reply['status']): 'answered' | 'failed' {
  return status === 502 || status === 503 || status === 504 ? 'failed' : 'answered';
}

/** Errors that a target is to blame for. */
export function isFailure(code: ErrorCode): boolean {
  return failures.has(code);
}

const failures: ReadonlySet<ErrorCode> = new Set([
  'downstream-unreachable',
  'downstream-lost',
  'downstream-timeout',
  'bad-reply',
] as const);
