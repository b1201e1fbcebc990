/** Runs cases against one gateway, many at a time, and says of each whether the outcome is the expected one. */
import type { Backend } from './backend.ts';
import type { Case } from './case.ts';
import { stream } from './replies.ts';
import { Stage } from './stage.ts';
import type { Gateway, Kind } from './target.ts';

/** `expected failure`: it had to fail here, and did. */
export type Outcome = 'passed' | 'expected failure' | 'failed' | 'passed against expectation';

export interface Result {
  readonly outcome: Outcome;
  readonly error?: Error;
}

const atATime = 12;
/** No case may take longer: it would hold up the run. */
const caseMsMax = 70_000;

/** Starts all cases; the results by id, each as soon as it is there. */
export function judge(cases: readonly Case[], gateway: Gateway, backend: Backend): ReadonlyMap<string, Promise<Result>> {
  const places = new Places(atATime);
  const results = new Map<string, Promise<Result>>();
  const warm = warmUp(gateway, backend);
  const together = cases.filter((one) => !one.alone);
  for (const one of together) {
    const run = (): Promise<Result> => judgeOne(one, gateway, backend);
    results.set(one.id, one.slow ? warm.then(run) : warm.then(() => places.take(run)));
  }
  let before: Promise<unknown> = Promise.all([warm, ...results.values()]);
  for (const one of cases.filter(({ alone }) => alone)) {
    const result = before.then(() => judgeOne(one, gateway, backend));
    results.set(one.id, result);
    before = result;
  }
  return results;
}

const warmUpTries = 20;

/** Pushpin's processes find each other only after their ports are open; until then it refuses holds and loses answers of links. */
async function warmUp(gateway: Gateway, backend: Backend): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const stage = new Stage(`warm-up-${tries}`, gateway, backend);
    try {
      return await holdAfterLink(stage);
    } catch (error) {
      if (tries === warmUpTries) throw error;
      await stage.quiet(200);
    } finally {
      stage.close();
    }
  }
}

/** A response that goes on with a link, which holds: it takes all of a gateway's parts. */
async function holdAfterLink(stage: Stage): Promise<void> {
  stage.answers({
    '': { headers: { 'Grip-Link': `<${stage.path}/next>; rel=next` }, body: '[first]' },
    '/next': stream(stage.channel, {}, '[next]'),
  });
  const client = await stage.send();
  await client.head(1500);
  await client.text('[first][next]', 1500);
}

export function isExpected({ outcome }: Result): boolean {
  return outcome === 'passed' || outcome === 'expected failure';
}

async function judgeOne(one: Case, gateway: Gateway, backend: Backend): Promise<Result> {
  const stage = new Stage(one.id, gateway, backend);
  const failing = hasToFail(one, gateway.kind);
  try {
    await withDeadline(one.run(stage));
    return { outcome: failing ? 'passed against expectation' : 'passed' };
  } catch (error) {
    return { outcome: failing ? 'expected failure' : 'failed', error: error instanceof Error ? error : new Error(String(error)) };
  } finally {
    stage.close();
  }
}

function hasToFail(one: Case, kind: Kind): boolean {
  return one.absent === kind || (kind === 'foregate' && one.known !== undefined);
}

async function withDeadline(run: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`It took longer than ${caseMsMax} ms.`)), caseMsMax);
  });
  try {
    await Promise.race([run, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** Lets a number of functions run at a time, in the order they came. */
class Places {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  async take<Value>(run: () => Promise<Value>): Promise<Value> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await run();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}
