/** GRIP 2.2-2.4 and 2.8: what a batch looks like as a request, and what a reply to it means. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { ForegateError } from '../../gateway/core/errors.ts';
import { contentBytes, type ClientEvent, type Message } from '../../gateway/core/event.ts';
import type { Batch, Reply } from '../../gateway/core/exchange.ts';
import { header, type HeaderList } from '../../gateway/core/headers.ts';
import type { Step } from '../../gateway/core/instruction.ts';
import { testSession } from '../../gateway/testing/policy-kit.ts';
import { encodeEvents, eventsMediaType } from '../../gateway/wire/websocket-events.ts';
import { webSocketOverHttp } from '../../gateway/wire/websocket-over-http.ts';

const session = testSession();

function batchOf(events: readonly ClientEvent[], more: Partial<Batch> = {}): Batch {
  return { events, replayedBytes: 0, more: false, ...more };
}

function replyOf(events: readonly ClientEvent[], headers: HeaderList = []): Reply {
  return { status: 200, reason: 'OK', headers: ['Content-Type', eventsMediaType, ...headers], body: encodeEvents(events) };
}

function text(data: string): Message {
  return { kind: 'text', data: Buffer.from(data) };
}

const open = batchOf([{ kind: 'open' }]);
const later = batchOf([text('x')]);

function steps(reply: Reply, batch = later): readonly Step[] {
  return webSocketOverHttp.decode(reply, batch, session).steps;
}

function remaining(accepted: string, batch: Batch): readonly ClientEvent[] {
  return webSocketOverHttp.decode(replyOf([], ['Content-Bytes-Accepted', accepted]), batch, session).remaining;
}

function refuses(act: () => unknown): void {
  assert.throws(act, (error) => error instanceof ForegateError && error.code === 'bad-reply');
}

describe('a reply in the dialect (GRIP 2.3)', () => {
  const speaks = (status: number, ...types: string[]): boolean =>
    webSocketOverHttp.speaks({
      status,
      reason: '',
      headers: types.flatMap((type) => ['content-TYPE', type]),
      body: Buffer.alloc(0),
    });

  for (const type of [
    'application/websocket-events',
    'Application/WebSocket-Events',
    'application/websocket-events; charset=utf-8',
    'application/websocket-events;x=y',
  ]) {
    it(`has the type ${type}`, () => assert.equal(speaks(200, type), true));
  }
  for (const type of [
    'text/html',
    'application/websocket-events2',
    'application/json; x=application/websocket-events',
    '',
    'application/websocket-events, text/html',
  ]) {
    it(`has not the type ${JSON.stringify(type)}`, () => assert.equal(speaks(200, type), false));
  }
  for (const status of [199, 201, 204, 206, 302, 403, 500]) {
    it(`has not the status ${status}`, () => assert.equal(speaks(status, eventsMediaType), false));
  }
  it('has a type at all', () => assert.equal(speaks(200), false));
});

describe('a request in the dialect (GRIP 2.2)', () => {
  it('is a POST with the fields of the protocol', () => {
    const { method, headers, body } = webSocketOverHttp.encode(batchOf([text('message')]), session);
    assert.equal(method, 'POST');
    assert.equal(body?.toString(), 'TEXT 7\r\nmessage\r\n');
    assert.deepEqual(headers, [
      'Accept',
      eventsMediaType,
      'Content-Type',
      eventsMediaType,
      'Connection-Id',
      session.id,
      'Content-Length',
      '17',
    ]);
  });

  it('says how much was offered before, and brings the metadata back', () => {
    const state = new Map([
      ['user', '42'],
      ['room', 'a'],
    ]);
    const { headers } = webSocketOverHttp.encode(batchOf([text('x')], { replayedBytes: 1 }), { ...session, state });
    assert.equal(header(headers, 'content-bytes-replayed'), '1');
    assert.equal(header(headers, 'meta-user'), '42');
    assert.equal(header(headers, 'meta-room'), 'a');
  });

  it('has a length also when it is empty', () => {
    const { headers, body } = webSocketOverHttp.encode(batchOf([]), session);
    assert.equal(header(headers, 'content-length'), '0');
    assert.equal(body?.length, 0);
  });
});

describe('Keep-Alive-Interval (GRIP 2.3)', () => {
  const interval = (value: string): number | undefined | 'absent' => {
    const step = steps(replyOf([], ['keep-alive-INTERVAL', value])).find(({ kind }) => kind === 'ask-every');
    return step?.kind === 'ask-every' ? step.intervalMs : 'absent';
  };
  const table: readonly [string, number | undefined][] = [
    ['1', 20_000],
    ['19', 20_000],
    ['20', 20_000],
    ['21', 21_000],
    ['060', 60_000],
    [' 60 ', 60_000],
    ['0', undefined],
    ['-5', undefined],
    ['1.5', undefined],
    ['x', undefined],
    ['', undefined],
    ['60s', undefined],
    ['1e3', undefined],
    ['99999999999', undefined],
    ['2147483', 2_147_483_000],
    ['999999999', 2_147_483_000],
  ];
  for (const [value, expected] of table)
    it(`of ${JSON.stringify(value)} is ${String(expected)} ms`, () => assert.equal(interval(value), expected));
  it('that is absent changes nothing', () => assert.deepEqual(steps(replyOf([])), []));
});

describe('Set-Meta (GRIP 2.3, 2.6)', () => {
  const set = (...headers: string[]): readonly Step[] => steps(replyOf([], headers));
  it('sets an item, its name in lower case', () => {
    assert.deepEqual(set('Set-Meta-User', '42'), [{ kind: 'set-state', name: 'user', value: '42' }]);
  });
  it('deletes by an empty value', () => {
    assert.deepEqual(set('set-meta-user', ''), [{ kind: 'set-state', name: 'user', value: undefined }]);
  });
  it('keeps the order of repeated names', () => {
    assert.deepEqual(
      set('Set-Meta-A', '1', 'SET-META-a', '2').map((step) => step.kind === 'set-state' && step.value),
      ['1', '2'],
    );
  });
  it('refuses names that are none, and values that are too long or no values', () => {
    for (const [name, value] of [
      ['Set-Meta-', 'x'],
      ['Set-Meta-a b', 'x'],
      ['Set-Meta-A', 'x'.repeat(4097)],
      ['Set-Meta-A', 'a\r\nb'],
      ['Set-Meta-A', 'a\0b'],
    ] as const) {
      refuses(() => set(name, value));
    }
  });
});

describe('the reply to OPEN (GRIP 2.4)', () => {
  it('accepts with OPEN first, and keeps the fields that are not for the client', () => {
    const headers = [
      'Set-Cookie',
      'a=1',
      'set-cookie',
      'b=2',
      'X-A',
      'é',
      'Connection',
      'X-Hop, keep-alive',
      'X-Hop',
      '1',
      'Keep-Alive',
      'timeout=5',
      'Transfer-Encoding',
      'chunked',
      'Content-Length',
      '6',
      'Sec-WebSocket-Extensions',
      'grip; message-prefix=""',
      'Sec-WebSocket-Protocol',
      'p',
      'Keep-Alive-Interval',
      '60',
      'Set-Meta-A',
      'b',
      'Grip-Channel',
      'c',
      'Content-Bytes-Accepted',
      '0',
      'Upgrade',
      'x',
      'Sec-WebSocket-Accept',
      'x',
    ];
    const [askEvery, state, accept, message] = steps(replyOf([{ kind: 'open' }, text('hi')], headers), open);
    assert.equal(askEvery?.kind, 'ask-every');
    assert.equal(state?.kind, 'set-state');
    assert.deepEqual(accept, {
      kind: 'accept',
      headers: ['Set-Cookie', 'a=1', 'set-cookie', 'b=2', 'X-A', 'é'],
      subprotocol: 'p',
      grip: { prefix: Buffer.from('') },
    });
    assert.equal(message?.kind, 'text');
  });
  it('turns GRIP on by the second of two fields, too', () => {
    const [accept] = steps(
      replyOf([{ kind: 'open' }], ['Sec-WebSocket-Extensions', 'x', 'Sec-WebSocket-Extensions', 'grip']),
      open,
    );
    assert.deepEqual(accept, { kind: 'accept', headers: [], grip: { prefix: Buffer.from('m:') } });
  });
  it('waits with an interval and nothing else', () => {
    assert.deepEqual(steps(replyOf([], ['Keep-Alive-Interval', '30']), open), [{ kind: 'ask-every', intervalMs: 30_000 }]);
  });
  it('is refused when it says nothing, or turns the interval off', () => {
    refuses(() => steps(replyOf([]), open));
    refuses(() => steps(replyOf([], ['Keep-Alive-Interval', '0']), open));
  });
  it('is refused when OPEN is not first, or comes twice', () => {
    refuses(() => steps(replyOf([text('x'), { kind: 'open' }]), open));
    refuses(() => steps(replyOf([{ kind: 'open' }, text('x'), { kind: 'open' }]), open));
    refuses(() => steps(replyOf([{ kind: 'close', reason: '' }]), open));
  });
});

describe('later replies (GRIP 2.3)', () => {
  it('end with the first CLOSE or DISCONNECT', () => {
    for (const end of [{ kind: 'close', reason: '' }, { kind: 'disconnect' }] as const) {
      assert.deepEqual(
        steps(replyOf([text('a'), end, text('b'), { kind: 'open' }])).map(({ kind }) => kind),
        ['text', end.kind],
      );
    }
  });
  it('are refused with OPEN in them', () => refuses(() => steps(replyOf([{ kind: 'open' }]))));
});

describe('Content-Bytes-Accepted (GRIP 2.8)', () => {
  const batch = batchOf([text('aa;bb;c'), text(''), text('dd')]);
  it('leaves what is beyond it, trimmed at its front', () => {
    assert.deepEqual(remaining('6', batch), [text('c'), text(''), text('dd')]);
    assert.deepEqual(remaining('7', batch), [text('dd')]);
    assert.deepEqual(remaining('9', batch), []);
    assert.deepEqual(remaining('0', batch), batch.events);
  });
  it('is everything when it is no number', () => {
    for (const value of ['x', '', '-1', '1.5', '0x1']) assert.deepEqual(remaining(value, batch), [], value);
  });
  it('must not be more than was offered', () => {
    refuses(() => remaining('10', batch));
    refuses(() => remaining('999999999999999', batch));
  });
  it('must not be nothing while more waits', () => {
    refuses(() => remaining('0', { ...batch, more: true }));
    assert.equal(remaining('1', { ...batch, more: true }).length, 3);
  });
  it('of 0 in a reply to nothing is fine', () => assert.deepEqual(remaining('0', batchOf([])), []));
  it('does not deliver CLOSE while message content is left', () => {
    const close = { kind: 'close', code: 1000, reason: 'bye' } as const;
    assert.deepEqual(remaining('1', batchOf([text('ab'), close])), [text('b'), close]);
    assert.deepEqual(remaining('7', batchOf([text('ab'), close])), []);
    refuses(() => remaining('2', batchOf([text('ab'), close])));
    refuses(() => remaining('0', batchOf([close])));
    assert.deepEqual(remaining('2', batchOf([text('ab'), { kind: 'close', reason: '' }])), []);
  });

  it('conserves bytes and their order, whatever is accepted', () => {
    const messages = fc.array(
      fc.record({
        kind: fc.constantFrom('text' as const, 'binary' as const),
        data: fc.uint8Array({ maxLength: 10 }).map((bytes) => Buffer.from(bytes)),
      }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(messages, fc.nat(100), (events, seed) => {
        const offered = events.reduce((sum, event) => sum + contentBytes(event), 0);
        const accepted = seed % (offered + 1);
        const rest = remaining(String(accepted), batchOf(events));
        const all = Buffer.concat(events.map(({ data }) => data));
        const left = Buffer.concat(rest.map((event) => ('data' in event ? event.data : Buffer.alloc(0))));
        assert.deepEqual(Buffer.concat([all.subarray(0, accepted), left]), all);
        assert.deepEqual(
          rest.map(({ kind }) => kind),
          events.slice(events.length - rest.length).map(({ kind }) => kind),
        );
        const [first] = rest;
        if (first !== undefined) assert.ok(contentBytes(first) > 0);
      }),
    );
  });
});
