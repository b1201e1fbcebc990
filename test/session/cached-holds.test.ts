/** How often the log tells of holds out of a cache. */
import assert from 'node:assert/strict';
import { silentLog, type LogFields } from '../../gateway/core/log.ts';
import { routeId } from '../../gateway/core/ids.ts';
import { noMetadata } from '../../gateway/core/session.ts';
import { CachedHolds } from '../../gateway/session/cached-holds.ts';
import { ManualClock } from '../../gateway/testing/index.ts';
import { testRoute } from '../downstream/routes.ts';

const hold = { mode: 'stream', channels: [], meta: noMetadata, timeoutMs: 0 } as const;

describe('the log of cached holds', () => {
  it('tells of each route once a minute, with the field that shows it', () => {
    const told: (LogFields | undefined)[] = [];
    const clock = new ManualClock();
    const holds = new CachedHolds(clock, { ...silentLog, warn: (_event, fields) => void told.push(fields) });
    const one = testRoute();
    const other = testRoute({ id: routeId('other') });
    const check = (route: typeof one): void => holds.check(route, hold, ['Age', '3']);
    check(one);
    check(one);
    check(other);
    clock.advance(59_999);
    check(one);
    clock.advance(1);
    check(one);
    assert.deepEqual(
      told.map((fields) => [fields?.['route'], fields?.['field']]),
      [
        ['test', 'Age'],
        ['other', 'Age'],
        ['test', 'Age'],
      ],
    );
  });
});
