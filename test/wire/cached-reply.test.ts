/** Signs of caches in the header fields of replies. */
import assert from 'node:assert/strict';
import { cacheSign } from '../../gateway/wire/cached-reply.ts';

describe('signs of a cache', () => {
  for (const [name, value] of [
    ['Age', '1'],
    ['age', '0086400'],
    ['X-Cache', 'HIT'],
    ['X-Cache', 'Hit from cloudfront'],
    ['X-Cache', 'MISS, HIT'],
    ['X-Cache-Status', 'Hit'],
    ['Apisix-Cache-Status', 'HIT'],
    ['x-tyk-cached-response', '1'],
  ] as const)
    it(`are ${name}: ${value}`, () => assert.equal(cacheSign(['Content-Type', 'text/plain', name, value]), name));

  for (const [name, value] of [
    ['Age', '0'],
    ['Age', '-1'],
    ['Age', 'soon'],
    ['X-Cache', 'MISS'],
    ['X-Cache', 'white'],
    ['X-Cache-Status', 'Bypass'],
    ['Apisix-Cache-Status', 'EXPIRED'],
    ['X-Tyk-Cached-Response', '0'],
    ['X-Cache-Lookup', 'HIT'],
    ['constructor', 'HIT'],
  ] as const)
    it(`are not ${name}: ${value}`, () => assert.equal(cacheSign([name, value]), undefined));
});
