import assert from 'node:assert/strict';
import { waitMs } from '../../adapters/wait.ts';

const now = Date.UTC(2026, 10, 25, 12);

describe('the wait after a refusal', () => {
  const cases: readonly [what: string, fields: Record<string, string>, message: string, ms: number | undefined][] = [
    ['seconds of Retry-After', { 'retry-after': '7' }, '', 7000],
    ['a date of Retry-After', { 'retry-after': 'Wed, 25 Nov 2026 12:00:30 GMT' }, '', 30_000],
    ['Retry-After before all others', { 'retry-after': '7', 'ratelimit-reset': '9', 'x-ratelimit-reset': '11' }, '', 7000],
    ['RateLimit-Reset', { 'ratelimit-reset': '9', 'x-ratelimit-reset': '11' }, '', 9000],
    ['the t of RateLimit', { ratelimit: '"default";r=0;t=12', 'x-ratelimit-reset': '11' }, '', 12_000],
    ['seconds of X-RateLimit-Reset', { 'x-ratelimit-reset': '11' }, 'Try again in 26 seconds.', 11_000],
    ['a time in seconds', { 'x-ratelimit-reset': String(now / 1000 + 40) }, '', 40_000],
    ['a time in milliseconds', { 'x-ratelimit-reset': String(now + 5500) }, '', 5500],
    ['a sentence', {}, 'Rate limit is exceeded. Try again in 26 seconds.', 26_000],
    ['a sentence with hours', {}, 'Quota will be replenished in 00:30:02.', 1_802_000],
    ['at most an hour', {}, 'Quota will be replenished in 7.00:00:00.', 3_600_000],
    ['at least a second', { 'retry-after': '0' }, '', 1000],
    ['a second where the time has passed', { 'x-ratelimit-reset': String(now / 1000 - 40) }, '', 1000],
    ['the next source where one is no number', { 'retry-after': 'soon', 'ratelimit-reset': '3' }, '', 3000],
    ['nothing where nothing is said', { 'x-ratelimit-reset': '-1' }, 'Slow down', undefined],
  ];
  for (const [what, fields, message, ms] of cases) {
    it(`is ${what}`, () => {
      const field = (name: string): string => fields[name] ?? '';
      assert.equal(waitMs({ field, message }, now), ms);
    });
  }
});
