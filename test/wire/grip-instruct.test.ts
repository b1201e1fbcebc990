import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { ForegateError } from '../../gateway/core/errors.ts';
import type { Instruct } from '../../gateway/core/hold.ts';
import { limits } from '../../gateway/core/limits.ts';
import { readInstructDocument } from '../../gateway/wire/grip-instruct.ts';

function readBody(body: Buffer | string, headers: readonly string[] = [], status = 200): Instruct {
  const reply = {
    status,
    reason: 'OK',
    headers: ['Content-Type', 'application/grip-instruct', ...headers],
    body: Buffer.from(body),
  };
  return readInstructDocument(reply, 'p-');
}

function read(document: unknown, ...headers: string[]): Instruct {
  return readBody(JSON.stringify(document), headers);
}

function faultOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof ForegateError);
    assert.equal(error.code, 'bad-reply');
    return error.message;
  }
  return 'no fault';
}

function fault(document: unknown, ...headers: string[]): string {
  return faultOf(() => read(document, ...headers));
}

function holdFault(hold: Record<string, unknown>): string {
  return fault({ hold: { channels: [], ...hold } });
}

describe('instruct documents', () => {
  it('hold and answer', () => {
    const instruct = read(
      {
        hold: {
          mode: 'stream',
          channels: [{ name: 'größe', 'prev-id': '7', filters: ['skip-self'] }, { name: 'b' }],
          'keep-alive': { content: 'x\n', timeout: 20 },
          meta: { User: '42' },
        },
        response: {
          code: 201,
          reason: 'Made',
          headers: [
            ['Content-Type', 'text/plain'],
            ['X-A', 'é'],
          ],
          body: 'héllo',
        },
      },
      'X-Not-Shown',
      '1',
    );
    assert.deepEqual(instruct, {
      head: { status: 201, reason: 'Made', headers: ['Content-Type', 'text/plain', 'X-A', 'Ã©'] },
      body: Buffer.from('héllo'),
      hold: {
        mode: 'stream',
        channels: [
          { channel: 'p-größe', filters: ['skip-self'], previousId: '7' },
          { channel: 'p-b', filters: [] },
        ],
        meta: new Map([['user', '42']]),
        timeoutMs: 55_000,
        keepAlive: { data: Buffer.from('x\n'), mode: 'idle', timeoutMs: 20_000 },
      },
    });
  });

  it('hold a response unless they say otherwise', () => {
    const { hold } = read({ hold: { channels: [], timeout: 3 } });
    assert.deepEqual([hold.mode, hold.timeoutMs], ['response', 5000]);
  });

  it('are an empty answer where they say nothing', () => {
    for (const document of [{}, { response: {} }, { other: 1 }]) {
      const { head, body, hold } = read(document, 'X-A', '1');
      assert.deepEqual([head, body, hold.mode], [{ status: 200, reason: 'OK', headers: [] }, Buffer.alloc(0), 'none']);
    }
  });

  it('take bytes in base64, which win over text', () => {
    const response = { 'body-bin': 'AAEC', body: 'x' };
    assert.deepEqual(read({ response }).body, Buffer.from([0, 1, 2]));
    const hold = { mode: 'stream', channels: [], 'keep-alive': { 'content-bin': 'AAEC', content: 'x', mode: 'interval' } };
    assert.deepEqual(read({ hold }).hold.keepAlive, { data: Buffer.from([0, 1, 2]), mode: 'interval', timeoutMs: 55_000 });
  });

  it('take headers as an object too, and never show Grip fields', () => {
    const response = { headers: { 'X-A': '1', 'Grip-Sig': 'x', 'grip-hold': 'stream' }, code: '404' };
    assert.deepEqual(read({ response }).head, { status: 404, reason: 'Not Found', headers: ['X-A', '1'] });
  });

  describe('with header fields', () => {
    const fields = [
      'Grip-Hold', 'stream', 'Grip-Channel', 'a', 'Grip-Timeout', '30', 'Grip-Keep-Alive', 'raw; mode=interval',
      'Grip-Set-Meta', 'user=1, other=2', 'Grip-Link', '</next>; rel=next',
    ]; // prettier-ignore

    it('are held as these say where they have no hold', () => {
      const { hold } = read({ response: { body: 'x' } }, ...fields);
      assert.deepEqual(hold, {
        mode: 'stream',
        channels: [{ channel: 'p-a', filters: [] }],
        meta: new Map([['user', '1'], ['other', '2']]), // prettier-ignore
        timeoutMs: 30_000,
        keepAlive: { data: Buffer.from('raw'), mode: 'interval', timeoutMs: 55_000 },
        next: { uri: '/next', timeoutMs: 120_000 },
      });
    });

    it('win over these, and have their channels beside them', () => {
      const { hold } = read(
        {
          hold: {
            mode: 'stream',
            channels: [{ name: 'b' }],
            timeout: 40,
            'keep-alive': { content: 'json' },
            meta: { user: '3' },
          },
        },
        ...fields,
      );
      assert.deepEqual(hold, {
        mode: 'stream',
        channels: [
          { channel: 'p-a', filters: [] },
          { channel: 'p-b', filters: [] },
        ],
        meta: new Map([['user', '3'], ['other', '2']]), // prettier-ignore
        timeoutMs: 40_000,
        keepAlive: { data: Buffer.from('json'), mode: 'idle', timeoutMs: 55_000 },
        next: { uri: '/next', timeoutMs: 120_000 },
      });
    });

    it('take what they do not say from these', () => {
      const { hold } = read({ hold: { channels: [] } }, ...fields);
      assert.deepEqual([hold.mode, hold.timeoutMs, hold.keepAlive], ['response', 30_000, undefined]);
    });

    it('have the faults of these', () => {
      assert.equal(fault({}, 'Grip-Timeout', 'x'), 'failed to parse Grip-Timeout');
    });
  });

  it('give 20 channels in all', () => {
    const channels = Array.from({ length: limits.subscriptions }, (_, i) => ({ name: `c${i}` }));
    assert.equal(read({ hold: { channels } }, 'Grip-Channel', 'a, b').hold.channels.length, 20);
  });

  describe('that are not valid', () => {
    it('come with another status than 200', () => {
      for (const status of [201, 204, 404, 500])
        assert.equal(
          faultOf(() => readBody('{}', [], status)),
          'response code for application/grip-instruct content must be 200',
        );
    });

    it('are no JSON, or no object', () => {
      for (const body of ['', '{', 'x', '{}{}', Buffer.from([0x22, 0xff, 0x22])])
        assert.equal(
          faultOf(() => readBody(body)),
          'failed to parse application/grip-instruct content as JSON',
        );
      for (const document of [[], 'x', 1, null]) assert.equal(fault(document), 'instruct must be an object');
    });

    it('have a member of the wrong type', () => {
      assert.equal(fault({ hold: [] }), "instruct contains 'hold' with wrong type");
      assert.equal(fault({ hold: null }), "instruct contains 'hold' with wrong type");
      assert.equal(fault({ response: 'x' }), "instruct contains 'response' with wrong type");
      assert.equal(holdFault({ mode: 1 }), "hold contains 'mode' with wrong type");
      assert.equal(holdFault({ channels: {} }), "hold contains 'channels' with wrong type");
      assert.equal(holdFault({ timeout: true }), "hold contains 'timeout' with wrong type");
      assert.equal(holdFault({ timeout: 1.5 }), "hold contains 'timeout' with wrong type");
      assert.equal(holdFault({ 'keep-alive': 'x' }), "hold contains 'keep-alive' with wrong type");
      assert.equal(holdFault({ 'keep-alive': { content: 1 } }), "keep-alive contains 'content' with wrong type");
      assert.equal(holdFault({ 'keep-alive': { 'content-bin': '***' } }), "keep-alive contains 'content-bin' with wrong type");
      assert.equal(holdFault({ meta: 'x' }), "hold contains 'meta' with wrong type");
      assert.equal(holdFault({ meta: { a: 1 } }), "'meta' contains 'a' with wrong type");
      assert.equal(fault({ response: { code: {} } }), "response contains 'code' with wrong type");
      assert.equal(fault({ response: { reason: 1 } }), "response contains 'reason' with wrong type");
      assert.equal(fault({ response: { body: 1 } }), "response contains 'body' with wrong type");
      assert.equal(fault({ response: { 'body-bin': 'x' } }), "response contains 'body-bin' with wrong type");
    });

    it('have a member with a value that cannot be', () => {
      for (const mode of ['none', 'Stream', ''])
        assert.equal(holdFault({ mode }), "hold 'mode' must be set to either 'response' or 'stream'");
      assert.equal(holdFault({ timeout: -1 }), "hold contains 'timeout' with invalid value");
      assert.equal(
        holdFault({ 'keep-alive': { content: 'x', timeout: -1 } }),
        "keep-alive contains 'timeout' with invalid value",
      );
      assert.equal(holdFault({ 'keep-alive': { content: 'x', mode: 'x' } }), "keep-alive contains 'mode' with invalid value");
      for (const code of [-1, 0, 101, 199, 1000])
        assert.equal(fault({ response: { code } }), "response contains 'code' with invalid value");
      assert.equal(fault({ response: { reason: 'a\r\nX: y' } }), "response contains 'reason' with invalid value");
    });

    it('lack a member', () => {
      assert.equal(fault({ hold: {} }), "hold does not contain 'channels'");
      assert.equal(holdFault({ 'keep-alive': {} }), "keep-alive does not contain 'content'");
      assert.equal(holdFault({ channels: [{}] }), "channel does not contain 'name'");
    });

    it('have channels that are none', () => {
      assert.equal(holdFault({ channels: ['x'] }), 'channel is not an object');
      assert.equal(holdFault({ channels: [{ name: '' }] }), "channel contains 'name' with invalid value");
      assert.equal(holdFault({ channels: [{ name: 'a\n' }] }), 'failed to parse Grip-Channel');
      assert.equal(holdFault({ channels: [{ name: 'a', 'prev-id': 7 }] }), "channel contains 'prev-id' with wrong type");
      for (const filters of ['x', [1]])
        assert.equal(holdFault({ channels: [{ name: 'a', filters }] }), "channel contains 'filters' with wrong type");
      assert.equal(holdFault({ channels: [{ name: 'a', filters: Array(6).fill('f') }] }), "too many filters for channel 'a'");
    });

    it('have headers that are none', () => {
      const headersFault = (headers: unknown): string => fault({ response: { headers } });
      assert.equal(headersFault('x'), "response contains 'headers' with wrong type");
      assert.equal(headersFault(['x']), 'headers contains element with wrong type');
      assert.equal(headersFault([['a']]), 'headers contains list with wrong number of elements');
      for (const name of [1, '', 'a b', 'a:', 'a\r\n'])
        assert.equal(headersFault([[name, 'x']]), 'header contains name element with wrong type');
      for (const value of [1, null, 'a\r\nX: y', '\0'])
        assert.equal(headersFault([['a', value]]), 'header contains value element with wrong type');
      for (const headers of [{ a: 1 }, { a: 'x\ny' }])
        assert.equal(headersFault(headers), "headers contains 'a' with wrong type");
    });

    it('are refused with words and never with another error, whatever they contain', () => {
      const names = fc.constantFrom(
        'hold',
        'response',
        'mode',
        'channels',
        'name',
        'filters',
        'prev-id',
        'timeout',
        'keep-alive',
        'content',
        'content-bin',
        'meta',
        'code',
        'reason',
        'headers',
        'body',
        '__proto__',
      );
      const document = fc.letrec((tie) => ({
        value: fc.oneof(
          { maxDepth: 4 },
          fc.jsonValue({ maxDepth: 1 }),
          fc.constantFrom('stream', 'response', 'AAEC'),
          fc.array(tie('value'), { maxLength: 3 }),
          fc.dictionary(names, tie('value')),
        ),
      })).value;
      fc.assert(fc.property(document, (value) => assert.equal(typeof fault(value), 'string')));
    });
  });
});
