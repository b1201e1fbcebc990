/** GRIP 2.1: fixtures of whole bodies, and what holds for all of them. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { ForegateError } from '../../gateway/core/errors.ts';
import type { ClientEvent, Message } from '../../gateway/core/event.ts';
import { decodeEvents, encodeEvents, EventReader } from '../../gateway/wire/websocket-events.ts';

const folder = join(import.meta.dirname, '../fixtures/websocket-events');

/** `\r`, `\n` and `\xHH`; everything else is UTF-8. */
function bytesOf(written: string): Buffer {
  const parts = written.split(/(\\r|\\n|\\x[0-9a-f]{2})/);
  return Buffer.concat(parts.map((part, i) => (i % 2 === 0 ? Buffer.from(part) : Buffer.of(codeOf(part)))));
}

function codeOf(escape: string): number {
  if (escape === '\\r') return 0x0d;
  return escape === '\\n' ? 0x0a : Number.parseInt(escape.slice(2), 16);
}

function eventOf(line: string): ClientEvent {
  const [, kind = '', code, content = ''] = /^(\w+)(?: (\d+|-))?(?: "(.*)")?$/.exec(line) ?? [];
  switch (kind) {
    case 'open':
    case 'disconnect':
      return { kind };
    case 'close':
      return code === '-' ? { kind, reason: content } : { kind, code: Number(code), reason: content };
    case 'text':
    case 'binary':
    case 'ping':
    case 'pong':
      return { kind, data: bytesOf(content) };
    default:
      throw new Error(`No event is called ${kind}.`);
  }
}

/** Buffers compared by content, wherever they lie. */
function plain(events: readonly ClientEvent[]): unknown[] {
  return events.map((event) => ('data' in event ? { kind: event.kind, data: event.data.toString('latin1') } : { ...event }));
}

function refuses(body: Buffer): void {
  assert.throws(
    () => decodeEvents(body),
    (error) => error instanceof ForegateError && error.code === 'bad-reply',
  );
}

const kinds = ['text', 'binary', 'ping', 'pong'] as const;
const message: fc.Arbitrary<Message> = fc.record({
  kind: fc.constantFrom(...kinds),
  data: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
});
const close: fc.Arbitrary<ClientEvent> = fc.oneof(
  fc.constant<ClientEvent>({ kind: 'close', reason: '' }),
  fc.record({
    kind: fc.constant('close' as const),
    code: fc.integer({ min: 0, max: 65_535 }),
    reason: fc.string({ unit: 'grapheme', maxLength: 20 }),
  }),
);
const single: fc.Arbitrary<ClientEvent> = fc.constantFrom<ClientEvent>({ kind: 'open' }, { kind: 'disconnect' });
const events: fc.Arbitrary<ClientEvent[]> = fc.array(fc.oneof({ weight: 5, arbitrary: message }, close, single), {
  maxLength: 12,
});

describe('bodies of events (GRIP 2.1)', () => {
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.txt'))) {
    const [written = '', expected = ''] = readFileSync(join(folder, file), 'utf8').split(/\n---\n/);
    const body = bytesOf(written);
    if (expected.trim() === 'invalid') {
      it(`are refused: ${file}`, () => refuses(body));
      continue;
    }
    it(`are read: ${file}`, () => {
      assert.deepEqual(
        plain(decodeEvents(body)),
        plain(
          expected
            .split('\n')
            .filter((line) => line !== '')
            .map(eventOf),
        ),
      );
    });
  }

  it('come out as they went in', () => {
    fc.assert(fc.property(events, (list) => assert.deepEqual(plain(decodeEvents(encodeEvents(list))), plain(list))));
  });

  it('give the same events however they are cut', () => {
    fc.assert(
      fc.property(events, fc.array(fc.nat(300), { maxLength: 8 }), (list, cuts) => {
        const body = encodeEvents(list);
        const reader = new EventReader();
        const places = [0, ...cuts.map((cut) => Math.min(cut, body.length)).toSorted((a, b) => a - b), body.length];
        const read = places.slice(1).flatMap((to, i) => reader.push(body.subarray(places[i], to)));
        reader.end();
        assert.deepEqual(plain(read), plain(list));
      }),
    );
  });

  it('give the same events byte by byte', () => {
    fc.assert(
      fc.property(events, (list) => {
        const reader = new EventReader();
        const read = [...encodeEvents(list)].flatMap((byte) => reader.push(Buffer.of(byte)));
        reader.end();
        assert.deepEqual(plain(read), plain(list));
      }),
    );
  });

  it('are read or refused, whatever bytes they are, and the same in pieces', () => {
    const pieces = fc.constantFrom(
      'TEXT',
      'OPEN',
      ' ',
      '\r\n',
      '\n',
      '\r',
      '2',
      'ff',
      '0',
      'hi',
      'CLOSE 2\r\n',
      '\r\n\r\n',
      ';',
      '\0',
      'é',
    );
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
      fc.array(pieces, { maxLength: 20 }).map((parts) => Buffer.from(parts.join(''))),
    );
    fc.assert(
      fc.property(anything, (body) => {
        assert.deepEqual(
          outcome(() => decodeEvents(body)),
          outcome(() => inPieces(body)),
        );
      }),
      { numRuns: 1000 },
    );
  });

  it('are refused when they are cut anywhere but between two events', () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), fc.nat(), (list, seed) => {
        const body = encodeEvents(list);
        const ends = new Set(list.map((_, i) => encodeEvents(list.slice(0, i + 1)).length)).add(0);
        const cut = seed % body.length;
        if (ends.has(cut))
          assert.equal(decodeEvents(body.subarray(0, cut)).length, [...ends].filter((end) => end <= cut && end > 0).length);
        else refuses(body.subarray(0, cut));
      }),
    );
  });

  it('have lengths in lower-case hexadecimal without zeros in front', () => {
    assert.equal(
      encodeEvents([{ kind: 'text', data: Buffer.alloc(171, 'x') }])
        .toString()
        .split('\r\n')[0],
      'TEXT ab',
    );
  });

  it('keep the length of an empty message, and write none for an empty ping, pong or close', () => {
    const empty = Buffer.alloc(0);
    const list: ClientEvent[] = [...kinds.map((kind) => ({ kind, data: empty })), { kind: 'close', reason: '' }];
    assert.equal(encodeEvents(list).toString(), 'TEXT 0\r\n\r\nBINARY 0\r\n\r\nPING\r\nPONG\r\nCLOSE\r\n');
  });

  it('of many lines without a length are read in little time', () => {
    const start = performance.now();
    assert.equal(decodeEvents(Buffer.from('PING\r\n'.repeat(160_000))).length, 160_000);
    assert.ok(performance.now() - start < 1000, `${performance.now() - start} ms`);
  });
});

function inPieces(body: Buffer): ClientEvent[] {
  const reader = new EventReader();
  const read: ClientEvent[] = [];
  for (let i = 0; i < body.length; i += 3) read.push(...reader.push(body.subarray(i, i + 3)));
  reader.end();
  return read;
}

/** The events, or `refused`. */
function outcome(read: () => ClientEvent[]): unknown {
  try {
    return plain(read());
  } catch (error) {
    assert.ok(error instanceof ForegateError && error.code === 'bad-reply', String(error));
    return 'refused';
  }
}
