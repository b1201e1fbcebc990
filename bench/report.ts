/**
 * Tells what a measuring has found: medians over the rounds, ratios to Pushpin, and which goals are reached.
 *
 *   node bench/report.ts RESULT.json              tables and goals
 *   node bench/report.ts RESULT.json --markdown   the same as a section of docs/performance.md, with machine and versions
 *   node bench/report.ts RESULT.json --write FILE puts that section between the two marks in FILE
 *   node bench/report.ts RESULT.json --check      ends with 1 and names the goals that are missed
 */
import { readFile, writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { format, resolveConfig } from 'prettier';
import { isMissed, judgeAll } from './goals.ts';
import { failures, median, readResult, wasMeasured, worst, type FigureName, type Result } from './result.ts';
import { scenarioIds, scenarios, type Group, type ScenarioId } from './scenarios.ts';
import { targetNames, type TargetName } from './targets.ts';

interface Options {
  readonly markdown?: true;
  readonly check?: true;
  readonly write?: string;
}

interface Row {
  readonly result: Result;
  readonly scenario: ScenarioId;
  readonly target: TargetName;
}

interface Column {
  readonly title: string;
  readonly cell: (row: Row) => string;
}

const marks = { from: '<!-- figures -->', to: '<!-- end of figures -->' };
const none = '-';

const cpu = [
  column('CPU us', 'cpuUsPerUnit'),
  { title: "Pushpin's CPU", cell: (row: Row) => ofPushpin(row, 'cpuUsPerUnit', 'theirs by ours') },
];
const perSecond = (unit: string): Column[] => [
  column(`${unit} per s`, 'perSecond'),
  { title: 'x Pushpin', cell: (row) => ofPushpin(row, 'perSecond', 'ours by theirs') },
];
const latencies = [column('p50 us', 'p50Us'), column('p99 us', 'p99Us'), worstColumn('worst us', 'worstUs')];

const groups: Readonly<Record<Group, { readonly title: string; readonly columns: readonly Column[] }>> = {
  events: {
    title: 'Messages from clients',
    columns: [
      ...perSecond('events'),
      ...latencies,
      ...cpu,
      column('messages per request', 'messagesPerRequest'),
      worstColumn('lost', 'lost'),
    ],
  },
  'fan-out': {
    title: 'Messages to subscribers',
    columns: [
      ...perSecond('deliveries'),
      column('publishes per s', 'publishesPerSecond'),
      column('to the last, p50 us', 'p50Us'),
      column('p99 us', 'p99Us'),
      ...cpu,
      worstColumn('undelivered', 'undelivered'),
      worstColumn('lost', 'lost'),
    ],
  },
  connections: {
    title: 'Connections',
    columns: [
      ...perSecond('connects'),
      ...cpu,
      column('KB per connection', 'kbPerConnection'),
      { title: "Pushpin's memory", cell: (row) => ofPushpin(row, 'kbPerConnection', 'theirs by ours') },
      column('KB before', 'baseKb'),
      worstColumn('lost', 'lost'),
    ],
  },
  http: {
    title: 'Plain HTTP',
    columns: [...perSecond('requests'), ...latencies, ...cpu, worstColumn('errors', 'badStatuses'), worstColumn('lost', 'lost')],
  },
};

if (import.meta.main) {
  await new Command('report')
    .description('Tells what bench/run.ts has found.')
    .argument('<result>', 'the JSON file of a measuring')
    .option('--markdown', 'as a section of a document, with machine and versions')
    .option('--write <file>', 'put that section between the marks in a document')
    .option('--check', 'end with 1 when a goal is missed')
    .action(report)
    .parseAsync();
}

/** Prints tables and goals; whether no goal is missed. */
export function printReport(result: Result): boolean {
  console.log(`${tables(result)}\n\n${goalTable(result)}`);
  const missed = judgeAll(result).filter(isMissed);
  for (const { goal, found } of missed) console.log(`missed: ${goal.scenario}, ${goal.aim}: ${found}`);
  return missed.length === 0;
}

async function report(file: string, { markdown, check, write }: Options): Promise<void> {
  const result = await readResult(file);
  if (write !== undefined) await replaceSection(write, section(result));
  if (markdown === true) console.log(section(result));
  const reached = markdown === true || write !== undefined ? !judgeAll(result).some(isMissed) : printReport(result);
  if (!reached && check === true) process.exitCode = 1;
}

function section(result: Result): string {
  const names = Object.entries(result.versions).map(([name, version]) => `${name} ${version}`);
  const measured = `Measured on ${result.when.slice(0, 10)}, ${result.rounds} rounds of ${result.durationSeconds} s.`;
  return `${measured} ${result.machine}. Versions: ${names.join(', ')}.\n\n${tables(result)}\n\n### Goals\n\n${goalTable(result)}`;
}

/** @throws Error when the file has no place for it. */
async function replaceSection(file: string, text: string): Promise<void> {
  const before = await readFile(file, 'utf8');
  const from = before.indexOf(marks.from);
  const to = before.indexOf(marks.to);
  if (from < 0 || to < from) throw new Error(`${file} needs the lines ${marks.from} and ${marks.to}.`);
  const joined = `${before.slice(0, from)}${marks.from}\n\n${text}\n\n${before.slice(to)}`;
  await writeFile(file, await format(joined, { ...(await resolveConfig(file)), filepath: file }));
}

function tables(result: Result): string {
  const parts = Object.entries(groups).flatMap(([group, { title, columns }]) => {
    const rows = rowsOf(result, group);
    return rows.length === 0 ? [] : [`### ${title}\n\n${groupTable(rows, columns)}`];
  });
  return parts.join('\n\n');
}

function rowsOf(result: Result, group: string): Row[] {
  const ids = scenarioIds.filter((id) => scenarios[id].group === group);
  return ids.flatMap((scenario) =>
    targetNames.filter((target) => wasMeasured(result, scenario, target)).map((target) => ({ result, scenario, target })),
  );
}

/** Columns in which nobody has anything are left out. */
function groupTable(rows: readonly Row[], columns: readonly Column[]): string {
  const filled = columns.filter(({ cell }) => rows.some((row) => cell(row) !== none));
  const head = ['scenario', 'target', ...filled.map(({ title }) => title)];
  const body = rows.map((row, index) => {
    const first = rows[index - 1]?.scenario !== row.scenario;
    const name = first ? `${row.scenario}: ${scenarios[row.scenario].title}` : '';
    return [name, row.target + failureNote(row), ...filled.map(({ cell }) => cell(row))];
  });
  return table(head, body);
}

function failureNote({ result, scenario, target }: Row): string {
  const failed = failures(result, scenario, target);
  return failed.length === 0 ? '' : ` (${failed.length} failed)`;
}

function goalTable(result: Result): string {
  const rows = judgeAll(result).map(({ goal, verdict, found }) => [
    goal.scenario,
    goal.rank === 'needed' ? goal.aim : `${goal.aim} (hoped for)`,
    found,
    verdict,
  ]);
  return table(['scenario', 'goal', 'found', ''], rows);
}

function column(title: string, figure: FigureName): Column {
  return { title, cell: ({ result, scenario, target }) => written(median(result, scenario, target, figure)) };
}

function worstColumn(title: string, figure: FigureName): Column {
  return { title, cell: ({ result, scenario, target }) => written(worst(result, scenario, target, figure)) };
}

function ofPushpin({ result, scenario, target }: Row, figure: FigureName, way: 'ours by theirs' | 'theirs by ours'): string {
  const ours = median(result, scenario, target, figure);
  const theirs = median(result, scenario, 'pushpin', figure);
  if (ours === undefined || theirs === undefined || ours <= 0 || theirs <= 0) return none;
  return way === 'ours by theirs' ? written(ours / theirs) : `1/${written(theirs / ours)}`;
}

/** Three digits say all that a measuring on a shared machine can. */
function written(value: number | undefined): string {
  if (value === undefined) return none;
  if (Number.isInteger(value) || value >= 100) return Math.round(value).toLocaleString('en');
  return value.toPrecision(3);
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const rows = [head, ...body];
  const widths = head.map((_, index) => Math.max(3, ...rows.map((row) => row[index]?.length ?? 0)));
  const line = (cells: readonly string[]): string => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  const rule = widths.map((width) => '-'.repeat(width));
  return [line(head), line(rule), ...body.map(line)].join('\n');
}
