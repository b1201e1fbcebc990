/**
 * Settings of routes that do not go together with what is known of their gateway as it comes: told before anything runs, since a
 * limit that bites shows in the middle of a connection. The gateway may be set up otherwise, so these are warnings.
 */
import { toMs } from '../core/duration.ts';
import type { GatewayFacts, KnownLimit } from '../core/gateway-facts.ts';
import type { RouteSettings, TargetSettings } from '../core/settings.ts';
import { routeChange, targetChange, type Change } from './change.ts';
import type { LoadedConfig } from './load.ts';

export interface LimitWarning {
  readonly route: string;
  /** Which of the gateway's limits. */
  readonly about: 'idle' | 'timeout' | 'body';
  /** What the gateway does and what follows from it: a sentence. */
  readonly detail: string;
  readonly changes: readonly Change[];
  /** So many other routes of the same document have it too, and the same change. */
  readonly others?: number;
}

/** In the order of the routes. What thousands of routes of a document have in common is told once. */
export function limitWarnings(loaded: LoadedConfig): LimitWarning[] {
  const all = loaded.routes.flatMap(({ settings, adapter: { facts } }, route) =>
    facts === undefined ? [] : settings.targets.flatMap((_, target) => warningsOf({ loaded, route, target, facts })),
  );
  const same = new Map<string, LimitWarning[]>();
  for (const warning of all) {
    const key = JSON.stringify([
      warning.detail,
      ...warning.changes.map(({ file, line, column, write }) => [file, line, column, write]),
    ]);
    const group = same.get(key) ?? [];
    group.push(warning);
    same.set(key, group);
  }
  return [...same.values()].flatMap(([first, ...others]) =>
    first === undefined ? [] : [others.length === 0 ? first : { ...first, others: others.length }],
  );
}

/** What one request with events may have for content: what waited, and the message that was one too many. */
export function batchBytes({ limits }: RouteSettings, { oneEventPerRequest }: TargetSettings): number {
  return limits.messageBytes + (oneEventPerRequest ? 0 : limits.queueBytes);
}

/** Limits under which a batch fits into a body of so many bytes, framing included. */
export function batchChanges(loaded: LoadedConfig, route: number, bodyBytes: number): Change[] {
  const settings = loaded.routes[route]?.settings.limits;
  if (settings === undefined) return [];
  const half = Math.max(1, Math.floor((bodyBytes - framingBytes) / 2));
  const change = (key: 'queueBytes' | 'messageBytes'): Change[] =>
    settings[key] <= half
      ? []
      : [routeChange(loaded, route, ['limits', key], { now: String(settings[key]), wanted: String(half) })];
  return inOne([...change('queueBytes'), ...change('messageBytes')]);
}

/** What two changes put into a mapping that is not there yet is written once, with both. */
function inOne(changes: readonly Change[]): Change[] {
  const inner = changes.flatMap(({ write }) => /^limits: \{ (.*) \}$/.exec(write)?.[1] ?? []);
  if (inner.length < 2) return [...changes];
  return changes.map((change) => ({ ...change, write: `limits: { ${inner.join(', ')} }` }));
}

/** For a person at a terminal: one line for each warning, and one for each change. */
export function warningLines(warnings: readonly LimitWarning[]): string[] {
  return warnings.flatMap(({ route, detail, changes, others }) => [
    `warning: route ${route}${others === undefined ? '' : ` and ${others} more`}: ${detail}`,
    ...changes.map((change) => `  ${changeLine(change)}`),
  ]);
}

/** `foregate.yaml:4:13  routes[0].target.idle is 4s by default; write "idle: 3s"` */
export function changeLine({ file, line, column, path, now, isDefault, write }: Change): string {
  return `${file}:${line}:${column}  ${path} is ${now}${isDefault ? ' by default' : ''}; write "${write}"`;
}

/** Left for the lines between the messages of a batch. */
const framingBytes = 1024;

interface Place {
  readonly loaded: LoadedConfig;
  readonly route: number;
  readonly target: number;
  readonly facts: GatewayFacts;
}

function warningsOf(place: Place): LimitWarning[] {
  const settings = place.loaded.routes[place.route]?.settings;
  const target = settings?.targets[place.target];
  if (settings === undefined || target === undefined) return [];
  return [...ofIdle(place, settings, target), ...ofTimeout(place, settings, target), ...ofBody(place, settings, target)];
}

function ofIdle(place: Place, { id }: RouteSettings, { idle }: TargetSettings): LimitWarning[] {
  const { idleMs, title, word } = known(place.facts, 'idle');
  if (idleMs === undefined || toMs(idle) < idleMs.is) return [];
  const detail = `${title}${of(idleMs)} closes unused connections after ${seconds(idleMs.is)}${word}: with idle ${idle} requests meet connections that are gone.`;
  const wanted = seconds(idleMs.is > 5000 ? idleMs.is - 1000 : 4000);
  return [{ route: id, about: 'idle', detail, changes: [targetChange(place.loaded, place, 'idle', { now: idle, wanted })] }];
}

function ofTimeout(place: Place, { id }: RouteSettings, { timeout }: TargetSettings): LimitWarning[] {
  const { timeoutMs, title, word } = known(place.facts, 'timeout');
  if (timeoutMs === undefined || toMs(timeout) <= timeoutMs.is) return [];
  const detail = `${title}${of(timeoutMs)} answers by itself after ${seconds(timeoutMs.is)}${word}: the timeout ${timeout} is never reached, and what the backend says later is lost.`;
  const wish = { now: timeout, wanted: seconds(timeoutMs.is) };
  return [{ route: id, about: 'timeout', detail, changes: [targetChange(place.loaded, place, 'timeout', wish)] }];
}

function ofBody(place: Place, settings: RouteSettings, target: TargetSettings): LimitWarning[] {
  const { bodyBytes, title, word } = known(place.facts, 'body');
  const largest = batchBytes(settings, target);
  if (target.dialect === 'relay' || bodyBytes === undefined || largest <= bodyBytes.is) return [];
  const detail = `${title}${of(bodyBytes)} refuses bodies above ${bodyBytes.is} bytes${word}, and a request with events may have ${largest}: its messages are lost and the session ends (1009).`;
  return [{ route: settings.id, about: 'body', detail, changes: batchChanges(place.loaded, place.route, bodyBytes.is) }];
}

/** `word`: what changes it there. */
function known({ limits, title, settings }: GatewayFacts, matter: 'idle' | 'timeout' | 'body') {
  const word = settings[matter] === undefined ? '' : ` unless its ${settings[matter]} says otherwise`;
  return { ...limits, title, word };
}

function of({ of: kind }: KnownLimit): string {
  return kind === undefined ? '' : ` (${kind})`;
}

/** `4s`, `1500ms`. */
export function seconds(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
