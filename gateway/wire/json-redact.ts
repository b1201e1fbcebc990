/**
 * Takes the values of named members out of JSON. A path is names with dots between them; `*` stands for any one member or element,
 * `**` for any number of levels. Names are compared without regard to case.
 */

/** One step of a path; the last has no rest. Steps are compared by identity, so that equal ways are followed once. */
interface Step {
  readonly name: string;
  readonly rest: Step | undefined;
}

/** Makes a function that gives a copy without what the paths lead to, and without what lies deeper than `levels`. */
export function redactor(paths: readonly string[], levels: number): (value: unknown) => unknown {
  const steps = paths.map((path) => stepsOf(path.toLowerCase().split('.')));
  const begin = new Set(steps.flatMap((step) => step ?? []));
  return (value) => redact(value, begin, levels);
}

const mask = '[redacted]';

function stepsOf(names: readonly string[]): Step | undefined {
  const [name, ...rest] = names;
  return name === undefined ? undefined : { name, rest: stepsOf(rest) };
}

function redact(value: unknown, steps: ReadonlySet<Step>, levels: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (levels === 0) return mask;
  const member = (name: string, inner: unknown): unknown => {
    const next = follow(steps, name);
    return next === 'end' ? mask : redact(inner, next, levels - 1);
  };
  if (Array.isArray(value)) return value.map((element, index) => member(String(index), element));
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, member(name.toLowerCase(), inner)]));
}

/** Where the steps lead from a member; `end` where one of them ends there. */
function follow(steps: ReadonlySet<Step>, name: string): ReadonlySet<Step> | 'end' {
  const next = new Set<Step>();
  const open = [...steps];
  for (let step = open.pop(); step !== undefined; step = open.pop()) {
    const isDeep = step.name === '**';
    if (isDeep) next.add(step);
    if (isDeep && step.rest !== undefined) open.push(step.rest); // No level at all is a number of levels, too.
    if (step.name !== name && step.name !== '*' && !(isDeep && step.rest === undefined)) continue;
    if (step.rest === undefined) return 'end';
    next.add(step.rest);
  }
  return next;
}
