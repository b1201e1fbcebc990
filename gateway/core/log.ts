/** What the program needs of a log: one call per level, an event's stable name and its fields. No bodies, no credentials. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  error(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  debug(event: string, fields?: LogFields): void;
}

const nothing = (): void => {};

export const silentLog: Log = { error: nothing, warn: nothing, info: nothing, debug: nothing };
