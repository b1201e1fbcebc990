/** What a measuring leaves behind: one JSON file, and the values over its rounds. */
import { readFile } from 'node:fs/promises';
import { scenarioIds, type ScenarioId } from './scenarios.ts';
import { targetNames, type TargetName } from './targets.ts';

export const figureNames = [
  /** Events, deliveries, connects or requests, as the scenario has it: the unit. */
  'perSecond',
  'p50Us',
  'p99Us',
  'worstUs',
  /** User and system time of the gateway with all its processes. */
  'cpuUsPerUnit',
  'gatewayCores',
  'loadgenCores',
  /** 1 when both cores of the machine had no pause, whoever used them. */
  'machineBusy',
  /** Connections that were refused, or closed by the gateway. */
  'lost',
  /** Publishes that did not reach everybody within three seconds. */
  'undelivered',
  /** Requests or publishes answered with 300 or more. */
  'badStatuses',
  'requestsPerUnit',
  'messagesPerRequest',
  'publishesPerSecond',
  /** Proportional set size: growth per connection, and what the gateway has before. */
  'kbPerConnection',
  'baseKb',
] as const;

export type FigureName = (typeof figureNames)[number];

/** What a scenario does not have is absent. */
export type Figures = Readonly<Partial<Record<FigureName, number>>>;

export interface Run {
  readonly scenario: ScenarioId;
  readonly target: TargetName;
  readonly round: number;
  readonly figures: Figures;
  /** Why there are no figures. */
  readonly error?: string;
}

export interface Result {
  readonly when: string;
  readonly rounds: number;
  readonly durationSeconds: number;
  readonly machine: string;
  /** Program and version. */
  readonly versions: Readonly<Record<string, string>>;
  readonly runs: readonly Run[];
}

/** @throws Error when the file is not the result of a measuring. */
export async function readResult(file: string): Promise<Result> {
  const value: unknown = JSON.parse(await readFile(file, 'utf8'));
  if (!isResult(value)) throw new Error(`${file} is not a result of bench/run.ts.`);
  return value;
}

/** Median over the rounds; undefined when it was not measured. */
export function median(result: Result, scenario: ScenarioId, target: TargetName, figure: FigureName): number | undefined {
  const values = valuesOf(result, scenario, target, figure).toSorted((a, b) => a - b);
  const upper = values[Math.floor(values.length / 2)];
  const lower = values[Math.ceil(values.length / 2) - 1];
  return upper === undefined || lower === undefined ? undefined : (lower + upper) / 2;
}

/** The largest of the rounds: for what must never happen. */
export function worst(result: Result, scenario: ScenarioId, target: TargetName, figure: FigureName): number | undefined {
  const values = valuesOf(result, scenario, target, figure);
  return values.length === 0 ? undefined : Math.max(...values);
}

/** Runs without figures. */
export function failures(result: Result, scenario: ScenarioId, target: TargetName): Run[] {
  return runsOf(result, scenario, target).filter(({ error }) => error !== undefined);
}

export function wasMeasured(result: Result, scenario: ScenarioId, target: TargetName): boolean {
  return runsOf(result, scenario, target).length > 0;
}

function valuesOf(result: Result, scenario: ScenarioId, target: TargetName, figure: FigureName): number[] {
  return runsOf(result, scenario, target).flatMap(({ figures }) => figures[figure] ?? []);
}

function runsOf({ runs }: Result, scenario: ScenarioId, target: TargetName): Run[] {
  return runs.filter((run) => run.scenario === scenario && run.target === target);
}

function isResult(value: unknown): value is Result {
  return (
    isRecord(value) &&
    typeof value['when'] === 'string' &&
    typeof value['machine'] === 'string' &&
    isRecord(value['versions']) &&
    Array.isArray(value['runs']) &&
    value['runs'].every(isRun)
  );
}

function isRun(value: unknown): value is Run {
  return (
    isRecord(value) &&
    scenarioIds.some((id) => id === value['scenario']) &&
    targetNames.some((name) => name === value['target']) &&
    isRecord(value['figures'])
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
