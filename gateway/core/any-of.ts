/**
 * Policies of which one list is enough: they are tried in their order when a client arrives, and the first list that lets it in holds
 * for its session. Of the lists that did not, nothing stays.
 */
import { Type } from 'typebox';
import type { Message } from './event.ts';
import type { HeaderDraft } from './headers.ts';
import { limits } from './limits.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import {
  compileHooks,
  definePolicy,
  deny,
  runHooks,
  type ConnectVerdict,
  type Policy,
  type RouteHooks,
  type Verdict,
} from './policy.ts';
import type { MaybePromise } from './promise.ts';
import type { ConsumedCredential, Denial, Identity, SessionView } from './session.ts';
import { SessionShadow } from './session-shadow.ts';
import { UseSchema } from './setting-types.ts';

/** A list and how it went for one session. */
interface Attempt {
  readonly hooks: RouteHooks;
  readonly trial: Trial;
}

interface Attempts {
  readonly all: Attempt[];
  chosen: Attempt | undefined;
}

export const anyOf = definePolicy({
  name: 'any-of',
  summary: 'Lets in whom one of several policies, or lists of policies, lets in.',
  options: Type.Object(
    {
      of: Type.Array(Type.Union([UseSchema, Type.Array(UseSchema)]), {
        minItems: 2,
        maxItems: limits.alternatives,
        description:
          'Policies as in `policies`, or lists of them that all have to agree. They are tried in their order when a client arrives; the first that lets it in holds for its session, and of those before it nothing stays. An empty list lets everybody in.',
      }),
    },
    {
      additionalProperties: false,
      description:
        'Whoever is refused by all hears what was wrong with a credential, or of every way to come in. `dryRun` stands beside `any-of` only. For publishers it has no meaning.',
    },
  ),
  /** `of`: the policies that were made of what stands there. */
  create: ({ of }, context) => firstOf(of as unknown as readonly NamedPolicies[], context),
});

export type NamedPolicies = readonly (readonly [name: string, policy: Policy])[];

/** One policy that stands for all of them. */
function firstOf(lists: readonly NamedPolicies[], { log, metrics }: { log: Log; metrics: Metrics }): Policy {
  // Whom one list refuses another may let in: that counts as no denial.
  const compiled = lists.map((list) => compileHooks(list, { log, metrics: withoutDenials(metrics) }));
  const sessions = new WeakMap<SessionView, Attempts>();
  const has = (moment: keyof RouteHooks): boolean => compiled.some((list) => list[moment].length > 0);
  const ask = (session: SessionView, of: (chosen: Attempt) => MaybePromise<Verdict>): MaybePromise<Verdict> => {
    const chosen = sessions.get(session)?.chosen;
    return chosen === undefined ? nobodyLetIn : of(chosen);
  };
  return {
    connect(session, answer) {
      const attempts: Attempts = { all: [], chosen: undefined };
      sessions.set(session, attempts);
      return firstThatLetsIn(compiled, session, answer, attempts);
    },
    ...(has('held') && { held: (session) => tell(sessions.get(session)?.chosen, 'held') }),
    ...(has('message') && {
      message: (session, message) => ask(session, ({ hooks, trial }) => runHooks(hooks.message, trial, message)),
    }),
    ...(has('subscribe') && {
      subscribe: (session, channel) => ask(session, ({ hooks, trial }) => runHooks(hooks.subscribe, trial, channel)),
    }),
    ...(has('request') && {
      request: (session, draft) => ask(session, ({ hooks, trial }) => runHooks(hooks.request, trial, draft)),
    }),
    ...(has('response') && {
      response: (session, reply, steps) => ask(session, ({ hooks, trial }) => runHooks(hooks.response, trial, { reply, steps })),
    }),
    ...(has('renew') && {
      renew: (session, credential) => ask(session, ({ hooks, trial }) => runHooks(hooks.renew, trial, credential)),
    }),
    ...(has('disconnect') && {
      disconnect: (session) => sessions.get(session)?.all.forEach((attempt) => tell(attempt, 'disconnect')),
    }),
  };
}

const nobodyLetIn = deny('policy-failed', 'No list of policies has let this client in.');

function tell(attempt: Attempt | undefined, moment: 'held' | 'disconnect'): void {
  for (const notice of attempt?.hooks[moment] ?? []) notice(attempt?.trial as Trial);
}

function withoutDenials(metrics: Metrics): Metrics {
  return { count: (name, by, route) => (name === 'policy_denials' ? undefined : metrics.count(name, by, route)) };
}

async function firstThatLetsIn(
  lists: readonly RouteHooks[],
  session: SessionView,
  answer: HeaderDraft,
  attempts: Attempts,
): Promise<ConnectVerdict> {
  const denials: Denial[] = [];
  for (const hooks of lists) {
    const attempt = { hooks, trial: new Trial(session) };
    attempts.all.push(attempt);
    const fields: HeaderDraft = [];
    const verdict = await runHooks(hooks.connect, attempt.trial, fields);
    if (verdict?.kind === 'deny') {
      attempt.trial.fail();
      denials.push(verdict);
      continue;
    }
    attempts.chosen = attempt;
    answer.push(...fields);
    attempt.trial.hold();
    return verdict;
  }
  return mostTelling(denials);
}

/** What is wrong with a credential tells more than that there is none; who has none hears of every way in. */
function mostTelling(denials: readonly Denial[]): Denial | undefined {
  const telling = denials.find(({ code, headers }) => code !== 'unauthorized' && (code !== 'forbidden' || headers !== undefined));
  const missing = denials.find(({ code }) => code === 'unauthorized');
  if (telling !== undefined || missing === undefined) return telling ?? denials[0];
  return { ...missing, headers: denials.flatMap(({ headers = [] }) => headers) };
}

/** What a list does to a session while nobody knows yet whether it lets the client in. */
class Trial extends SessionShadow {
  #state: 'open' | 'holds' | 'failed' = 'open';
  readonly #identity: Identity | undefined;
  readonly #consumed: number;
  /** The session was to end before it was known whether the list holds. */
  #ended: Denial | undefined;

  constructor(session: SessionView) {
    super(session);
    this.#identity = session.identity;
    this.#consumed = session.consumed.length;
  }

  get consumed(): ConsumedCredential[] {
    return this.session.consumed;
  }

  get identity(): Identity | undefined {
    return this.session.identity;
  }

  set identity(identity: Identity | undefined) {
    if (this.#state !== 'failed') this.session.identity = identity;
  }

  hold(): void {
    this.#state = 'holds';
    if (this.#ended !== undefined) this.session.end(this.#ended);
  }

  fail(): void {
    this.#state = 'failed';
    this.session.identity = this.#identity;
    this.session.consumed.length = this.#consumed;
  }

  send(message: Message): void {
    if (this.#state === 'holds') this.session.send(message);
  }

  end(denial: Denial): void {
    if (this.#state === 'open') this.#ended ??= denial;
    if (this.#state === 'holds') this.session.end(denial);
  }
}
