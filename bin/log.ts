/** The program's log on standard output, by pino: one JSON object a line, or one line for people. */
import { pino, type DestinationStream } from 'pino';
import type { Log, LogFields } from '../gateway/core/log.ts';
import type { LogSettings } from '../gateway/core/settings.ts';

/** A log that writes to `destination` (default: standard output). An event's name stands under `event`; `fields` are in every line. */
export function createLog(
  settings: LogSettings,
  destination: DestinationStream = process.stdout,
  fields: LogFields | null = null,
): Log {
  const stream = settings.format === 'json' ? destination : { write: (line: string) => destination.write(forPeople(line)) };
  const logger = pino(
    {
      level: settings.level,
      base: fields,
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      serializers: { error: describeError },
    },
    stream,
  );
  return {
    error: (event, more = {}) => logger.error(more, event),
    warn: (event, more = {}) => logger.warn(more, event),
    info: (event, more = {}) => logger.info(more, event),
    debug: (event, more = {}) => logger.debug(more, event),
  };
}

/** Code and message of an error and of its causes, no stack: stacks of libraries quote what they worked on. */
function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return typeof error === 'object' && error !== null ? 'not an error' : error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  const cause = error.cause === undefined || depth === 3 ? undefined : describeError(error.cause, depth + 1);
  return { code, message: error.message, ...(cause !== undefined && { cause }) };
}

/** `2026-05-01T10:00:00.000Z INFO  session.opened route=chat` */
function forPeople(line: string): string {
  const { level, time, event, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const pairs = Object.entries(fields).map(
    ([name, value]) => ` ${name}=${typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)}`,
  );
  return `${String(time)} ${String(level).toUpperCase().padEnd(5)} ${String(event)}${pairs.join('')}\n`;
}
