/**
 * Every refusal in `test/fixtures/faults`, byte for byte as its gateway sends it, and what the adapter of its folder makes of it:
 * the table beside them says so.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { adapters } from '../../adapters/index.ts';
import { errors } from '../../gateway/core/errors.ts';
import { faultKinds, type Fault } from '../../gateway/core/profile.ts';
import { expectedFaults, faultFolder, profileOf, readFault, replyOf } from './fault-fixtures.ts';

describe('a refusal of a gateway', () => {
  for (const { name, kind, wait, by } of expectedFaults()) {
    it(`${name} is ${kind}`, () => {
      const fault = read(name);
      assert.deepEqual(
        { kind: fault.kind, wait: fault.retryAfterMs, by: fault.by },
        { kind, wait: wait === '-' ? undefined : Number(wait), by: by === '-' ? undefined : by },
      );
    });
  }

  it('stands in the table, and the table names no other', () => {
    const files = readdirSync(faultFolder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.http'));
    assert.deepEqual(
      expectedFaults()
        .map(({ name }) => `${name}.http`)
        .toSorted(),
      files.toSorted(),
    );
  });

  it('is there for every kind, and for every adapter but the generic one', () => {
    const table = expectedFaults();
    assert.deepEqual(new Set(table.map(({ kind }) => kind)), new Set<string>(faultKinds));
    const folders = new Set(table.map(({ name }) => name.split('/', 1)[0]));
    assert.deepEqual(
      adapters.map(({ name }) => name).filter((name) => !folders.has(name)),
      ['generic'],
    );
  });

  it('never tells clients what stood in it', () => {
    for (const { name } of expectedFaults()) {
      const { detail } = read(name);
      const body = replyOf(readFileSync(join(faultFolder, `${name}.http`))).body.toString();
      assert.ok(!body.includes(detail), name);
      assert.doesNotMatch(detail, /app-7|\d{4}/, name);
    }
  });

  it('is never an event, and always an error with a close code', () => {
    for (const { name } of expectedFaults()) assert.ok(errors[read(name).code].close > 1000, name);
  });
});

describe('a reply that is broken on purpose', () => {
  const bodies = [
    '{',
    '{"fault":null}',
    '{"fault":{"detail":7}}',
    '[]',
    'null',
    '{"__proto__":{}}',
    '{"error":{"message":7}}',
    '',
  ];
  it('is no error of ours, whatever its body is', () => {
    for (const { name, fault } of adapters.map(profileOf)) {
      for (const body of [...bodies, `{"message":"${'x'.repeat(20_000)}"}`]) {
        for (const status of [200, 204, 302, 400, 401, 403, 404, 413, 429, 500, 503]) {
          const reply = { status, reason: '', headers: ['Retry-After', 'soon'], body: Buffer.from(body) };
          assert.equal(fault(reply).retryAfterMs, undefined, `${name} ${status} ${body}`);
        }
      }
    }
  });
});

function read(name: string): Fault {
  return readFault(name, readFileSync(join(faultFolder, `${name}.http`)));
}
