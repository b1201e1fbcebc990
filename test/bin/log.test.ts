/** The program's log. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { createLog } from '../../bin/log.ts';
import { ForegateError } from '../../gateway/core/errors.ts';
import type { LogSettings } from '../../gateway/core/settings.ts';

function logged(settings: LogSettings, use: (log: ReturnType<typeof createLog>) => void): string[] {
  const lines: string[] = [];
  use(createLog(settings, { write: (line) => void lines.push(line) }));
  return lines;
}

describe('the log', () => {
  it('writes one JSON object a line: level, time, fields, event', () => {
    const [line = ''] = logged({ level: 'info', format: 'json' }, (log) =>
      log.warn('session.closed', { session: 'x', code: 1000 }),
    );
    const { time, ...rest } = JSON.parse(line) as Record<string, unknown>;
    deepEqual(rest, { level: 'warn', session: 'x', code: 1000, event: 'session.closed' });
    match(String(time), /^\d{4}-\d\d-\d\dT/);
    ok(line.endsWith('\n'));
  });

  it('leaves out what is less important than its level', () => {
    const lines = logged({ level: 'warn', format: 'json' }, (log) => {
      log.debug('a');
      log.info('b');
      log.warn('c');
      log.error('d');
    });
    deepEqual(
      lines.map((line) => (JSON.parse(line) as { event: string }).event),
      ['c', 'd'],
    );
  });

  it('writes code and message of errors and their causes, no stack', () => {
    const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', request: { headers: 'hunter2' } });
    const error = new ForegateError('downstream-unreachable', undefined, { cause });
    const [line = ''] = logged({ level: 'info', format: 'json' }, (log) => log.error('exchange.failed', { error }));
    deepEqual((JSON.parse(line) as { error: unknown }).error, {
      code: 'downstream-unreachable',
      message: 'The backend cannot be reached.',
      cause: { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' },
    });
  });

  it('does not write objects that were thrown in place of an error', () => {
    const [line = ''] = logged({ level: 'info', format: 'json' }, (log) =>
      log.error('policy.failed', { error: { token: 'hunter2' } }),
    );
    ok(!line.includes('hunter2'));
  });

  it('writes for people: time, level, event, fields', () => {
    const [line = ''] = logged({ level: 'info', format: 'text' }, (log) =>
      log.info('listening', { port: 80, name: 'a b', ok: true }),
    );
    match(line, /^\S+Z INFO {2}listening port=80 name="a b" ok=true\n$/);
    equal(line.split('\n').length, 2);
  });

  it('keeps line breaks of fields from making lines of their own', () => {
    const [line = ''] = logged({ level: 'info', format: 'text' }, (log) => log.info('x', { path: '/a\n2026 ERROR forged' }));
    equal(line.split('\n').length, 2);
  });
});
