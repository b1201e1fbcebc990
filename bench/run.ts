/**
 * `npm run bench`: measures Foregate beside Pushpin and nginx with nchan on this machine, one scenario, target and round after the
 * other, and writes the figures to a JSON file. `node bench/run.ts --help` tells the options; docs/performance.md how to read it.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { expectFree, startChild, stopChildren, waitForPort, type Child } from './children.ts';
import { measure } from './measure.ts';
import { allowOpenFiles, buildProduct, describeMachine, setUp, versions } from './prepare.ts';
import { printReport } from './report.ts';
import type { Figures, Result, Run } from './result.ts';
import { connectionsOf, scenarioIds, scenarios, type ScenarioId } from './scenarios.ts';
import { backendPort, offers, root, targetNames, targets, workFolder, type Target, type TargetName } from './targets.ts';

interface Options {
  readonly targets: readonly TargetName[];
  readonly scenarios: readonly ScenarioId[];
  readonly rounds: number;
  readonly duration: number;
  readonly out: string;
  readonly build: boolean;
  readonly check?: true;
}

interface Turn {
  readonly scenario: ScenarioId;
  readonly target: TargetName;
  readonly round: number;
}

/** A gateway has its port before all of its parts are connected. */
const settleMs = 800;
/** No run may take longer, whatever happens. */
const runMsMax = 150_000;

const about = (title: string, entries: Readonly<Record<string, { readonly title?: string; readonly about?: string }>>): string =>
  `\n${title}:\n${Object.entries(entries)
    .map(([name, entry]) => `  ${name.padEnd(14)}${entry.title ?? entry.about}`)
    .join('\n')}`;

await new Command('bench')
  .description(
    'Measures Foregate beside other gateways, all on this machine. Runs on Debian; as root where packages are missing.',
  )
  .option(
    '-t, --targets <names>',
    'what is measured, with commas',
    listOf(targetNames),
    targetNames.filter((name) => name !== 'floor'),
  )
  .option('-s, --scenarios <names>', 'what is asked of it, with commas', listOf(scenarioIds), scenarioIds)
  .option('-r, --rounds <number>', 'how often; the report shows medians', wholeNumber, 3)
  .option('-d, --duration <seconds>', 'how long each is measured', positive, 3)
  .option(
    '-o, --out <file>',
    'where the figures go',
    join('bench/results', `${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.json`),
  )
  .option('--no-build', 'measure dist as it is, even when sources are newer')
  .option('--check', 'end with 1 when a goal is missed')
  .addHelpText('after', about('Targets', targets))
  .addHelpText('after', about('Scenarios', scenarios))
  .action(bench)
  .parseAsync();

async function bench(options: Options): Promise<void> {
  prepare(options);
  const runs: Run[] = [];
  const result: Result = {
    when: new Date().toISOString(),
    rounds: options.rounds,
    durationSeconds: options.duration,
    machine: describeMachine(),
    versions: versions(options.targets),
    runs,
  };
  await mkdir(dirname(options.out), { recursive: true });
  for (const turn of turnsOf(options)) {
    runs.push(await runTurn(turn, options.duration));
    await writeFile(options.out, JSON.stringify(result, undefined, 1));
  }
  console.log(`\nThe figures are in ${relative(process.cwd(), options.out)}.\n`);
  if (!printReport(result) && options.check === true) process.exitCode = 1;
}

function prepare({ build, targets: names, scenarios: ids }: Options): void {
  try {
    if (build) buildProduct();
    setUp(names);
    allowOpenFiles(Math.max(...ids.map((id) => connectionsOf(scenarios[id]))));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}

/** Every other round in reverse order, so that a machine that grows slower or faster favours nobody. */
function turnsOf({ scenarios: ids, targets: names, rounds }: Options): Turn[] {
  const numbers = Array.from({ length: rounds }, (_, index) => index + 1);
  return ids.flatMap((scenario) => {
    const able = names.filter((name) => offers(targets[name], scenario, scenarios[scenario]));
    return numbers.flatMap((round) =>
      (round % 2 === 1 ? able : able.toReversed()).map((target) => ({ scenario, target, round })),
    );
  });
}

async function runTurn(turn: Turn, durationSeconds: number): Promise<Run> {
  const name = `${turn.scenario} round ${turn.round} ${turn.target}`.padEnd(30);
  try {
    const figures = await Promise.race([runOnce(turn, durationSeconds), outOfTime()]);
    console.log(`${name} ${summaryOf(figures)}`);
    return { ...turn, figures };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    console.log(`${name} failed: ${message}`);
    return { ...turn, figures: {}, error: message };
  } finally {
    await stopChildren();
  }
}

async function runOnce({ scenario, target: name }: Turn, durationSeconds: number): Promise<Figures> {
  const target: Target = targets[name];
  const ports = [target.clientPort, ...(target.publish === undefined ? [] : [target.publish.port])];
  for (const port of [backendPort, ...ports]) await expectFree(port);
  const backend = startChild([join(workFolder, 'backend'), String(backendPort)]);
  await waitForPort(backendPort);
  const subject = target.command === undefined ? backend : startChild(target.command, { cwd: root, env: target.env ?? {} });
  const measured = async (): Promise<Figures> => {
    for (const port of ports) await waitForPort(port);
    await after(settleMs);
    return measure(scenarios[scenario], { target, pid: subject.pid, durationSeconds });
  };
  return Promise.race([measured(), endOf(subject, name)]);
}

/** A gateway that ends must not be measured as one that refuses. */
async function endOf(subject: Child, name: TargetName): Promise<never> {
  throw new Error(`${name} ended by itself with ${await subject.ended}`);
}

async function outOfTime(): Promise<never> {
  await after(runMsMax, undefined, { ref: false });
  throw new Error(`not done after ${runMsMax / 1000} s`);
}

function summaryOf(figures: Figures): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name}=${value >= 100 ? Math.round(value) : Number(value.toPrecision(3))}`)
    .join(' ');
}

function listOf<Name extends string>(known: readonly Name[]): (text: string) => Name[] {
  return (text) =>
    text.split(',').map((word) => {
      const found = known.find((name) => name === word);
      if (found === undefined) throw new InvalidArgumentError(`There is no "${word}"; there are ${known.join(', ')}.`);
      return found;
    });
}

function wholeNumber(text: string): number {
  return Math.ceil(positive(text));
}

function positive(text: string): number {
  const number = Number(text);
  if (!(number > 0) || number > 1000) throw new InvalidArgumentError('It must be a number above 0.');
  return number;
}
