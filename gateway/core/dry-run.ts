/**
 * Policies in dry run: they decide and count as they would, the log and the metrics say what they would have done, and nothing of it
 * reaches anybody. A policy that is to be enforced sees nothing of those in dry run; these see what the others in dry run did.
 */
import type { Clock } from './clock.ts';
import { toForegateError } from './errors.ts';
import { limits } from './limits.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { ConnectVerdict, Policy, Publisher } from './policy.ts';
import { isPromise, type MaybePromise } from './promise.ts';
import type { ConsumedCredential, Denial, Identity, SessionView } from './session.ts';
import { SessionShadow } from './session-shadow.ts';

interface Watch {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

/** Identities that only the policies in dry run of one list believe. */
type Believed = WeakMap<SessionView, { readonly identity: Identity | undefined }>;

/** Makes what puts policies of one list into dry run. */
export function dryRun(watch: Watch): (name: string, policy: Policy) => Policy {
  const believed: Believed = new WeakMap();
  const publishers = new WeakMap<Publisher, Publisher>();
  return (name, policy) => {
    const notes = new Notes(name, watch);
    const doubles = new WeakMap<SessionView, SessionView>();
    const doubleOf = (session: SessionView): SessionView =>
      kept(doubles, session, () => new Double(session, believed, (denial) => notes.note('later', denial, session)));
    const { connect, held, message, subscribe, request, response, publish, disconnect, dispose } = policy;
    return {
      ...(connect && {
        connect: (session) => notes.rehearse('connect', session, () => connect.call(policy, doubleOf(session), [])),
      }),
      ...(held && { held: (session) => notes.witness('held', () => held.call(policy, doubleOf(session))) }),
      ...(message && {
        message: (session, what) => notes.rehearse('message', session, () => message.call(policy, doubleOf(session), what)),
      }),
      ...(subscribe && {
        subscribe: (session, channel) =>
          notes.rehearse('subscribe', session, () => subscribe.call(policy, doubleOf(session), channel)),
      }),
      ...(request && {
        request: (session, draft) =>
          notes.rehearse('request', session, () =>
            request.call(policy, doubleOf(session), { ...draft, headers: [...draft.headers] }),
          ),
      }),
      ...(response && {
        response: (session, reply, steps) =>
          notes.rehearse('response', session, () => response.call(policy, doubleOf(session), reply, steps)),
      }),
      ...(publish && {
        publish: (publication, publisher) =>
          notes.rehearse('publish', undefined, () =>
            publish.call(
              policy,
              publication,
              kept(publishers, publisher, () => ({ ...publisher })),
            ),
          ),
      }),
      ...(disconnect && { disconnect: (session) => disconnect.call(policy, doubleOf(session)) }),
      ...(dispose && { dispose: () => dispose.call(policy) }),
    };
  };
}

function kept<Key extends object, Value>(map: WeakMap<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

/** What is noted of one policy. A line at most in {@link limits.dryRunLogMs} for each kind of verdict; `times` counts those without. */
class Notes {
  readonly #name: string;
  readonly #watch: Watch;
  readonly #lines = new Map<string, { readonly at: number; times: number }>();

  constructor(name: string, watch: Watch) {
    this.#name = name;
    this.#watch = watch;
  }

  /** Runs a hook; whatever it says, or throws, the answer is to go on. */
  rehearse(
    moment: string,
    session: SessionView | undefined,
    decide: () => MaybePromise<ConnectVerdict>,
  ): MaybePromise<undefined> {
    const noted = (verdict: ConnectVerdict): undefined => {
      if (verdict !== undefined) this.note(moment, verdict, session);
    };
    const failed = (thrown: unknown): undefined => this.#failed(moment, thrown);
    try {
      const verdict = decide();
      return isPromise(verdict) ? verdict.then(noted, failed) : noted(verdict);
    } catch (thrown) {
      return failed(thrown);
    }
  }

  /** A moment at which nothing is decided: what is thrown ends no session. */
  witness(moment: string, notice: () => void): void {
    try {
      notice();
    } catch (thrown) {
      this.#failed(moment, thrown);
    }
  }

  note(moment: string, verdict: NonNullable<ConnectVerdict>, session: SessionView | undefined): void {
    if (verdict.kind === 'deny') this.#watch.metrics.count('policy_dry_run_denials');
    const times = this.#due(verdict.kind);
    if (times === 0) return;
    this.#watch.log.info(events[verdict.kind], {
      policy: this.#name,
      moment,
      ...(verdict.kind === 'deny' && { code: verdict.code, detail: verdict.detail }),
      ...(verdict.kind === 'delay' && { ms: verdict.ms }),
      ...(verdict.kind === 'answer' && { status: verdict.reply.status }),
      ...(session && { session: session.id, route: session.routeId }),
      times,
    });
  }

  #failed(moment: string, thrown: unknown): undefined {
    this.#watch.metrics.count('policy_errors');
    if (this.#due('failed') === 0) return;
    const error = toForegateError(thrown).cause ?? thrown;
    this.#watch.log.error('policy.failed', { policy: this.#name, moment, dryRun: true, error });
  }

  /** How many times a line stands for, or 0 where it is too early for one. */
  #due(kind: string): number {
    const now = this.#watch.clock.now();
    const last = this.#lines.get(kind);
    const isDue = last === undefined || now - last.at >= limits.dryRunLogMs || now < last.at;
    if (!isDue) {
      last.times += 1;
      return 0;
    }
    this.#lines.set(kind, { at: now, times: 0 });
    return (last?.times ?? 0) + 1;
  }
}

const events = {
  deny: 'policy.would-deny',
  delay: 'policy.would-delay',
  consumed: 'policy.would-consume',
  answer: 'policy.would-answer',
} as const satisfies Record<NonNullable<ConnectVerdict>['kind'], string>;

/** Keeps to itself what is done to the session. */
class Double extends SessionShadow {
  readonly consumed: ConsumedCredential[] = [];
  readonly #believed: Believed;
  readonly #wouldEnd: (denial: Denial) => void;

  constructor(session: SessionView, believed: Believed, wouldEnd: (denial: Denial) => void) {
    super(session);
    this.#believed = believed;
    this.#wouldEnd = wouldEnd;
  }

  get identity(): Identity | undefined {
    const believed = this.#believed.get(this.session);
    return believed === undefined ? this.session.identity : believed.identity;
  }

  set identity(identity: Identity | undefined) {
    this.#believed.set(this.session, { identity });
  }

  send(): void {}

  end(denial: Denial): void {
    this.#wouldEnd(denial);
  }
}
