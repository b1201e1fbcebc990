/**
 * A policy of one's own that has to ask somebody: how many messages a tenant may send stands in a database. Use it in the
 * configuration behind the policy that finds out who the client is, with
 *
 *     policies:
 *       - { use: jwt, secret: "${JWT_SECRET}" }
 *       - { use: ./policies/tenant-limit.mjs, limits: ./policies/tenants.mjs }
 *
 * The database is asked once for all who need the same answer, the answer is kept for a while, and where there is none the client
 * is refused: what this policy throws is a no.
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { definePolicy, deny, Duration, ForegateError, toMs } from 'foregate/policy';

/** Answers that are kept. Beyond, the oldest is forgotten and asked for again: names of tenants must not fill the memory. */
const keptMax = 10_000;
/** Questions at one time. Beyond, clients are refused: a slow database must not be buried. */
const askedMax = 100;

export default definePolicy({
  name: 'tenant-limit',
  summary: 'Limits the messages of a tenant to a number that a database knows.',
  options: {
    type: 'object',
    properties: {
      limits: {
        type: 'string',
        minLength: 1,
        description:
          'A module whose default export is a function: it gets the name of a tenant and gives, by a promise, how many messages the tenant may send in a window, or undefined for one that does not exist.',
      },
      claim: {
        type: 'string',
        minLength: 1,
        default: 'tenant',
        description: "The claim of the client's token that names the tenant.",
      },
      window: Duration({ default: '1m', description: 'Length of the window.' }),
      keep: Duration({ default: '1m', description: 'How long an answer is good.' }),
      timeout: Duration({ default: '2s', description: 'How long an answer is waited for.' }),
    },
    required: ['limits'],
    additionalProperties: false,
  },

  async create({ limits, claim, window, keep, timeout }, { clock, store, scope, directory }) {
    const look = await lookIn(resolve(directory, limits));
    const limitOf = remembering(look, { clock, keepMs: toMs(keep), timeoutMs: toMs(timeout) });

    const count = (tenant, limit) => {
      const taken = store.take(`${scope}:${tenant}`, { limit, windowMs: toMs(window) }, 1);
      return taken instanceof Promise ? taken.then(judge) : judge(taken);
    };

    return {
      connect(session) {
        const tenant = tenantOf(session, claim);
        if (tenant === undefined) return deny('forbidden', 'A token that names a tenant is needed.');
        const limit = limitOf(tenant);
        // Only whether the tenant exists: messages are counted when they come.
        return limit instanceof Promise ? limit.then(refuseUnknown) : refuseUnknown(limit);
      },

      message(session) {
        const tenant = tenantOf(session, claim);
        if (tenant === undefined) return unknown;
        // Mostly the answer is known, and then there is no promise.
        const limit = limitOf(tenant);
        const decide = (number) => refuseUnknown(number) ?? count(tenant, number);
        return limit instanceof Promise ? limit.then(decide) : decide(limit);
      },
    };
  },
});

const unknown = deny('forbidden', 'This tenant is not known.');

function refuseUnknown(limit) {
  return limit === undefined ? unknown : undefined;
}

function judge({ allowed, resetMs }) {
  return allowed ? undefined : deny('rate-limited', 'Too many messages.', { action: 'answer', retryAfterMs: resetMs });
}

function tenantOf({ identity }, claim) {
  const tenant = identity?.claims?.[claim];
  return typeof tenant === 'string' && tenant !== '' ? tenant : undefined;
}

async function lookIn(path) {
  const { default: look } = await import(pathToFileURL(path).href);
  // With this kind of error the place in the configuration is told, too.
  if (typeof look !== 'function') throw new ForegateError('bad-request', `The default export of ${path} is no function.`);
  return look;
}

/** The number where it is known, or else a promise of it, the same for all who ask meanwhile. Failures are not kept. */
function remembering(look, { clock, keepMs, timeoutMs }) {
  const kept = new Map();
  const asked = new Map();

  const ask = async (tenant) => {
    try {
      const limit = checked(await withinTime(look(tenant), timeoutMs, clock));
      kept.delete(tenant);
      if (kept.size >= keptMax) kept.delete(kept.keys().next().value);
      kept.set(tenant, { limit, until: clock.now() + keepMs });
      return limit;
    } finally {
      asked.delete(tenant);
    }
  };

  return (tenant) => {
    const answer = kept.get(tenant);
    if (answer !== undefined && clock.now() < answer.until) return answer.limit;
    const underWay = asked.get(tenant);
    if (underWay !== undefined) return underWay;
    if (asked.size >= askedMax) throw new Error('Too many tenants are being looked up.');
    const asking = ask(tenant);
    asked.set(tenant, asking);
    return asking;
  };
}

/** A database may hold nonsense, and a comparison with it would let everything pass. */
function checked(limit) {
  if (limit === undefined || (Number.isSafeInteger(limit) && limit >= 0)) return limit;
  throw new Error('The limit of a tenant must be a whole number.');
}

function withinTime(answer, ms, clock) {
  return new Promise((settle, fail) => {
    const timer = clock.after(ms, () => fail(new Error(`There was no answer within ${ms} ms.`)));
    Promise.resolve(answer)
      .then(settle, fail)
      .finally(() => timer.cancel());
  });
}
