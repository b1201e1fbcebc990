/**
 * The suite as a command: `npm run conformance -- --target pushpin --only 4.`. It ends with 1 when an outcome is not the expected one.
 */
import { parseArgs } from 'node:util';
import { startBackend } from './backend.ts';
import type { Case } from './case.ts';
import { chapters } from './chapters.ts';
import { isExpected, judge, type Result } from './judge.ts';
import { runningGateway, startGateway, type Gateway, type Kind } from './target.ts';

const help = `npm run conformance -- [options]
  --target foregate|pushpin   what to start, or whose ways a running gateway is to have (foregate)
  --only PREFIX               cases whose name begins so, as 4. or 2.5-
  --client-url URL            a gateway that runs already, with the routes of files.ts
  --control-url URL           its control API
  --backend-port PORT         where its targets are; the spare ones are the next two ports
  --verbose                   what the gateway wrote, at the end
`;

const { values } = parseArgs({
  options: {
    target: { type: 'string', default: 'foregate' },
    only: { type: 'string', default: '' },
    'client-url': { type: 'string' },
    'control-url': { type: 'string' },
    'backend-port': { type: 'string' },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  return 2;
});

async function main(): Promise<number> {
  if (values.help) return say(help, 0);
  const kind = kindOf(values.target);
  const backend = await startBackend(Number(values['backend-port'] ?? 0));
  const gateway = await gatewayFor(kind, backend.port).catch(async (error: unknown) => {
    await backend.stop();
    throw error;
  });
  // Pushpin's launcher has to end by itself, or its processes stay.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void gateway.stop().then(() => process.exit(1)));
  try {
    const cases = wanted(gateway);
    const bad = await report(cases, judge(cases, gateway, backend), kind);
    if (values.verbose) say(gateway.output(), 0);
    return bad === 0 ? 0 : 1;
  } finally {
    await gateway.stop();
    await backend.stop();
  }
}

/** For a gateway that runs already not those that need its files; it says which. */
function wanted({ folder }: Gateway): readonly Case[] {
  const asked = chapters.flatMap((chapter) => chapter.cases).filter(({ id }) => id.startsWith(values.only));
  const left = asked.filter(({ files }) => files === true && folder === undefined);
  for (const { id } of left) say(`not run  ${id}: it needs the gateway's files\n`, 0);
  return asked.filter((one) => !left.includes(one));
}

function kindOf(target: string): Kind {
  if (target === 'foregate' || target === 'pushpin') return target;
  throw new Error(`--target is foregate or pushpin, not ${target}.`);
}

async function gatewayFor(kind: Kind, backendPort: number): Promise<Gateway> {
  const client = values['client-url'];
  const control = values['control-url'];
  if (client === undefined && control === undefined) return startGateway(kind, backendPort);
  if (client === undefined || control === undefined || values['backend-port'] === undefined)
    throw new Error('A running gateway needs --client-url, --control-url and --backend-port.');
  return runningGateway(kind, client, control, backendPort);
}

/** Prints every case and the totals; how many outcomes were not expected. */
async function report(cases: readonly Case[], results: ReadonlyMap<string, Promise<Result>>, kind: Kind): Promise<number> {
  const totals = { pass: 0, differs: 0, fail: 0 };
  for (const one of cases) {
    const result = await results.get(one.id);
    if (!result) continue;
    const word = wordFor(one, result);
    totals[word] += 1;
    say(`${word.padEnd(8)} ${one.id}: ${one.rule}${detail(one, result, kind)}\n`, 0);
  }
  say(`\n${kind}: ${totals.pass} pass, ${totals.differs} differ as listed, ${totals.fail} fail\n`, 0);
  return totals.fail;
}

function wordFor(one: Case, result: Result): 'pass' | 'differs' | 'fail' {
  if (!isExpected(result)) return 'fail';
  return one.differs !== undefined || result.outcome === 'expected failure' ? 'differs' : 'pass';
}

function detail(one: Case, { outcome, error }: Result, kind: Kind): string {
  if (outcome === 'passed against expectation') return '\n         It passes, although it is listed as one that cannot.';
  if (outcome === 'failed') return `\n${(error?.stack ?? '').replaceAll(/^/gm, '         ')}`;
  if (outcome === 'expected failure' && one.known !== undefined) return `\n         Known: ${one.known}`;
  return one.differs ? `\n         Here: ${one.differs[kind]}` : '';
}

function say(text: string, code: number): number {
  process.stdout.write(text);
  return code;
}
