/** Hours, days and months as the clocks of a time zone show them, days of 23 and 25 hours included. */
import { ForegateError } from '../gateway/core/errors.ts';

export const periodKinds = ['hour', 'day', 'month'] as const;
export type PeriodKind = (typeof periodKinds)[number];

/** From the first millisecond to the one after the last, in milliseconds since 1970. */
export interface Period {
  readonly start: number;
  readonly end: number;
}

/**
 * Tells of an instant in which period it is.
 * @throws ForegateError `bad-request` for a time zone that is not known
 */
export function calendar(kind: PeriodKind, timeZone: string): (at: number) => Period {
  const clockOf = wallClock(timeZone);
  if (kind === 'hour') return (at) => hourAround(at, clockOf);
  return (at) => {
    const wall = new Date(clockOf(at));
    const [year, month, day] = [wall.getUTCFullYear(), wall.getUTCMonth(), wall.getUTCDate()];
    const [first, next] =
      kind === 'day'
        ? [Date.UTC(year, month, day), Date.UTC(year, month, day + 1)]
        : [Date.UTC(year, month), Date.UTC(year, month + 1)];
    return { start: firstInstant(first, clockOf), end: firstInstant(next, clockOf) };
  };
}

/** What the clock shows at an instant, as if it were UTC. */
type WallClock = (at: number) => number;

const hourMs = 3_600_000;

/** An hour that comes twice, when clocks are put back, is two hours. */
function hourAround(at: number, clockOf: WallClock): Period {
  const start = at - (((clockOf(at) % hourMs) + hourMs) % hourMs);
  return { start, end: start + hourMs };
}

/** The first instant at which the clock shows this time or a later one: there are days without midnight. */
function firstInstant(wall: number, clockOf: WallClock): number {
  // No clock is further from UTC than this.
  let before = wall - 16 * hourMs;
  let reached = wall + 16 * hourMs;
  while (reached - before > 1) {
    const middle = Math.floor((before + reached) / 2);
    if (clockOf(middle) >= wall) reached = middle;
    else before = middle;
  }
  return reached;
}

function wallClock(timeZone: string): WallClock {
  const format = formatOf(timeZone);
  return (at) => {
    const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = fields.map((field) => parts.get(field));
    return Date.UTC(year, month - 1, day, hour, minute, second) + (((at % 1000) + 1000) % 1000);
  };
}

const fields = ['year', 'month', 'day', 'hour', 'minute', 'second'] as const;

function formatOf(timeZone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      calendar: 'iso8601',
      hourCycle: 'h23',
      ...Object.fromEntries(fields.map((field) => [field, 'numeric'])),
    });
  } catch {
    throw new ForegateError('bad-request', `The time zone "${timeZone}" is not known; zones have names like Europe/Berlin.`);
  }
}
