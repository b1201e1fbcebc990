/** What Foregate is meant to reach beside Pushpin 1.36 and nchan in the same run, and whether a result does. */
import { failures, median, wasMeasured, worst, type FigureName, type Result } from './result.ts';
import type { ScenarioId } from './scenarios.ts';
import type { TargetName } from './targets.ts';

export interface Goal {
  readonly scenario: ScenarioId;
  /** A sentence without its end: what is to be reached. */
  readonly aim: string;
  /** `hoped-for`: it is told, and missing it is no fault. */
  readonly rank: 'needed' | 'hoped-for';
  readonly judge: Judge;
}

export interface Judgement {
  readonly goal: Goal;
  readonly verdict: 'reached' | 'missed' | 'not measured';
  /** What was found, such as `14.2 times`. */
  readonly found: string;
}

/** Undefined when a figure is missing. */
type Judge = (result: Result, scenario: ScenarioId) => { readonly reached: boolean; readonly found: string } | undefined;

const goals: readonly Goal[] = [
  needed('s1b', "8 times Pushpin's events per second", times(8)),
  needed('s1b', "a fifteenth of Pushpin's CPU per event", atMost('cpuUsPerUnit', 1 / 15, 'pushpin')),
  needed('s1c', 'no connection lost', none('lost')),
  needed('s1d', "20 times Pushpin's throughput", times(20)),
  needed('s1d', 'at least 90 messages per backend request', atLeast('messagesPerRequest', 90)),
  needed('s2a', "5 times Pushpin's deliveries per second", times(5)),
  needed('s2a', "CPU per delivery within a quarter of nchan's", atMost('cpuUsPerUnit', 1.25, 'nchan')),
  needed('s2b', "5 times Pushpin's deliveries per second", times(5)),
  needed('s2b', "CPU per delivery within a quarter of nchan's", atMost('cpuUsPerUnit', 1.25, 'nchan')),
  needed('s2c', "10 times Pushpin's deliveries per second", times(10)),
  needed('s2d', "2.5 times Pushpin's deliveries per second", times(2.5)),
  needed('s2e', "twice Pushpin's deliveries per second", times(2)),
  needed('s2d', "CPU per delivery within a quarter of nchan's", atMost('cpuUsPerUnit', 1.25, 'nchan')),
  needed('links', 'a publication reaches everybody within 250 ms (p99)', below('p99Us', 250_000)),
  needed('links', 'every publication reaches everybody', none('undelivered')),
  needed('s3', "4 times Pushpin's publishes per second", times(4)),
  needed('s4', "a quarter of Pushpin's memory per idle connection", atMost('kbPerConnection', 1 / 4, 'pushpin')),
  { ...needed('s4', 'a sixth of it', atMost('kbPerConnection', 1 / 6, 'pushpin')), rank: 'hoped-for' },
  needed('s5', "2.5 times Pushpin's connects per second", times(2.5)),
  needed('s5', 'a connect for 1/2.5 of the CPU', atMost('cpuUsPerUnit', 1 / 2.5, 'pushpin')),
  needed('s6', "4 times Pushpin's plain HTTP requests per second", times(4)),
  needed('s6', 'a plain request for a quarter of the CPU', atMost('cpuUsPerUnit', 1 / 4, 'pushpin')),
  needed('s7', "2.5 times Pushpin's answers to long-polls per second", times(2.5)),
  needed('s7', 'no long-poll is answered with an error or too early', none('badStatuses')),
  needed('s8', 'worst echo delay below 25 ms', below('worstUs', 25_000)),
];

/** Each goal, judged by the medians over the rounds; delays and losses by the worst round. */
export function judgeAll(result: Result): Judgement[] {
  return goals.map((goal) => judgeOne(goal, result));
}

/** Needed, and in a scenario that was run, but not shown to be reached. */
export function isMissed({ goal, verdict }: Judgement): boolean {
  return goal.rank === 'needed' && verdict === 'missed';
}

function judgeOne(goal: Goal, result: Result): Judgement {
  const { scenario } = goal;
  if (!wasMeasured(result, scenario, 'foregate')) return { goal, verdict: 'not measured', found: '-' };
  const failed = failures(result, scenario, 'foregate')[0];
  if (failed !== undefined) return { goal, verdict: 'missed', found: `round ${failed.round}: ${failed.error}` };
  const judged = goal.judge(result, scenario);
  // A peer without figures leaves the goal unproven, which is not the same as reached.
  if (judged === undefined) return { goal, verdict: 'missed', found: 'no figure to compare with' };
  return { goal, verdict: judged.reached ? 'reached' : 'missed', found: judged.found };
}

function needed(scenario: ScenarioId, aim: string, judge: Judge): Goal {
  return { scenario, aim, rank: 'needed', judge };
}

function times(factor: number): Judge {
  return (result, scenario) => {
    const ratio = compare(result, scenario, 'perSecond', 'pushpin');
    return ratio === undefined ? undefined : { reached: ratio >= factor, found: `${ratio.toFixed(1)} times` };
  };
}

/** `share` of what the peer has, or less. */
function atMost(figure: FigureName, share: number, peer: TargetName): Judge {
  return (result, scenario) => {
    const ratio = compare(result, scenario, figure, peer);
    if (ratio === undefined) return undefined;
    return { reached: ratio <= share, found: ratio < 0.5 ? `1/${(1 / ratio).toFixed(1)}` : `${ratio.toFixed(2)} times` };
  };
}

function atLeast(figure: FigureName, bound: number): Judge {
  return (result, scenario) => {
    const value = median(result, scenario, 'foregate', figure);
    return value === undefined ? undefined : { reached: value >= bound, found: value.toFixed(1) };
  };
}

function none(figure: FigureName): Judge {
  return (result, scenario) => {
    const value = worst(result, scenario, 'foregate', figure);
    return value === undefined ? undefined : { reached: value === 0, found: String(value) };
  };
}

function below(figure: 'worstUs' | 'p99Us', boundUs: number): Judge {
  return (result, scenario) => {
    const us = worst(result, scenario, 'foregate', figure);
    return us === undefined ? undefined : { reached: us < boundUs, found: `${(us / 1000).toFixed(1)} ms` };
  };
}

function compare(result: Result, scenario: ScenarioId, figure: FigureName, peer: TargetName): number | undefined {
  const own = median(result, scenario, 'foregate', figure);
  const other = median(result, scenario, peer, figure);
  return own === undefined || other === undefined || other <= 0 ? undefined : own / other;
}
