import assert from 'node:assert/strict';
import { errors, ForegateError } from '../../gateway/core/errors.ts';
import type { Hold, Instruct } from '../../gateway/core/hold.ts';
import { limits } from '../../gateway/core/limits.ts';
import { gripLast, hasDocument, isInstruct, readInstruct } from '../../gateway/wire/grip-headers.ts';
import { readList } from '../../gateway/wire/header-elements.ts';

function wire(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function read(...headers: string[]): Instruct {
  return readInstruct({ status: 200, reason: 'OK', headers }, 'p-');
}

function hold(...headers: string[]): Hold {
  return read(...headers).hold;
}

function fault(...headers: string[]): string {
  try {
    read(...headers);
  } catch (error) {
    assert.ok(error instanceof ForegateError);
    assert.equal(errors[error.code].status, 502);
    return error.message;
  }
  return 'no fault';
}

describe('GRIP header fields', () => {
  it('make a reply an instruction, whatever their names, and so does the media type', () => {
    assert.ok(isInstruct(['Content-Type', 'text/plain', 'GRIP-hold', 'stream']));
    assert.ok(isInstruct(['grip-whatever', '']));
    assert.ok(isInstruct(['Content-Type', 'Application/GRIP-Instruct; charset=utf-8']));
    assert.ok(!isInstruct(['Content-Type', 'application/grip-instructions', 'X-Grip-Hold', 'stream', 'Grip', 'x']));
    assert.ok(!isInstruct([]));
    assert.ok(hasDocument(['content-type', 'application/grip-instruct']));
    assert.ok(!hasDocument(['Grip-Hold', 'stream']));
  });

  it('hold a stream with channels, keep-alive and metadata', () => {
    const instruct = read(
      'Content-Type', 'text/event-stream',
      'Grip-Hold', 'stream',
      'Grip-Channel', 'news, user-42; filter=skip-self',
      'Grip-Set-Meta', 'user="42"',
      'Grip-Keep-Alive', String.raw`event: keep-alive\ndata:\n\n; format=cstring; timeout=20`,
    ); // prettier-ignore
    assert.deepEqual(instruct, {
      head: { status: 200, reason: 'OK', headers: ['Content-Type', 'text/event-stream'] },
      body: undefined,
      hold: {
        mode: 'stream',
        channels: [
          { channel: 'p-news', filters: [] },
          { channel: 'p-user-42', filters: ['skip-self'] },
        ],
        meta: new Map([['user', '42']]),
        timeoutMs: 55_000,
        keepAlive: { data: Buffer.from('event: keep-alive\ndata:\n\n'), mode: 'idle', timeoutMs: 20_000 },
      },
    });
  });

  it('may be none that matter', () => {
    assert.deepEqual(hold('Grip-Session-Id', 'x', 'Grip-Last', 'a; last-id=1'), {
      mode: 'none',
      channels: [],
      meta: new Map(),
      timeoutMs: 55_000,
    });
  });

  describe('Grip-Hold', () => {
    it('is response or stream, exactly', () => {
      assert.equal(hold('Grip-Hold', 'response').mode, 'response');
      for (const value of ['', 'Stream', 'none', 'stream, response'])
        assert.equal(fault('Grip-Hold', value), "Grip-Hold must be set to either 'response' or 'stream'");
    });
  });

  describe('Grip-Channel', () => {
    it('may be repeated, with previous ids and filters', () => {
      assert.deepEqual(hold('Grip-Channel', 'a; prev-id=7; filter=x; filter=y', 'grip-channel', 'b; prev-id="1,2;3"').channels, [
        { channel: 'p-a', filters: ['x', 'y'], previousId: '7' },
        { channel: 'p-b', filters: [], previousId: '1,2;3' },
      ]);
    });

    it('has names as they are, UTF-8 included', () => {
      const channels = hold('Grip-Channel', wire('"größe à", a b'), 'Grip-Channel', 'c; Prev-Id=1').channels;
      assert.deepEqual(channels, [
        { channel: 'p-"größe à"', filters: [] },
        { channel: 'p-a b', filters: [] },
        { channel: 'p-c', filters: [] },
      ]);
    });

    it('gives the first 20 channels, whatever stands in the others', () => {
      const names = Array.from({ length: limits.subscriptions + 5 }, (_, i) => `c${i}`).join(',');
      const { channels } = hold('Grip-Channel', `${names}, x${'; filter=f'.repeat(6)}`);
      assert.deepEqual([channels.length, channels.at(-1)?.channel], [20, 'p-c19']);
    });

    it('has five filters at most', () => {
      assert.equal(hold('Grip-Channel', `a${'; filter=f'.repeat(5)}`).channels[0]?.filters.length, 5);
      assert.equal(fault('Grip-Channel', `a${'; filter=f'.repeat(6)}`), "too many filters for channel 'a'");
    });

    it('cannot be read without a name, with an open quote, or with a name no channel can have', () => {
      for (const value of ['; prev-id=3', 'a; prev-id="3', '\xff', `a, ${'x'.repeat(2000)}`, 'a\x01'])
        assert.equal(fault('Grip-Channel', value), 'failed to parse Grip-Channel', value);
    });
  });

  describe('Grip-Timeout', () => {
    it('is seconds, five at least', () => {
      for (const [value, ms] of [
        ['60', 60_000],
        ['5', 5000],
        ['4', 5000],
        ['0', 5000],
        [' +7 ', 7000],
      ] as const)
        assert.equal(hold('Grip-Hold', 'response', 'Grip-Timeout', value).timeoutMs, ms);
    });

    it('is refused otherwise', () => {
      for (const value of ['', 'x', '1.5', '1e3', '0x10', '99999999999', '1 2'])
        assert.equal(fault('Grip-Timeout', value), 'failed to parse Grip-Timeout', value);
      assert.equal(fault('Grip-Timeout', '-1'), 'Grip-Timeout has invalid value');
    });
  });

  describe('Grip-Keep-Alive', () => {
    const keepAlive = (value: string): Hold['keepAlive'] => hold('Grip-Hold', 'stream', 'Grip-Keep-Alive', value).keepAlive;
    const data = (value: string): string | undefined => keepAlive(value)?.data.toString('latin1');
    const cstring = (text: string): string | undefined => data(`${text}; format=cstring`);

    it('is bytes, mode and time, with defaults', () => {
      assert.deepEqual(keepAlive('x'), { data: Buffer.from('x'), mode: 'idle', timeoutMs: 55_000 });
      assert.deepEqual(keepAlive('a, b; mode=interval; timeout=0'), {
        data: Buffer.from('a, b'),
        mode: 'interval',
        timeoutMs: 1000,
      });
      assert.equal(keepAlive('x; timeout=30; mode=idle; other=1')?.timeoutMs, 30_000);
    });

    it('is of streams only', () => {
      assert.equal(hold('Grip-Hold', 'response', 'Grip-Keep-Alive', 'x').keepAlive, undefined);
      assert.equal(hold('Grip-Keep-Alive', 'x').keepAlive, undefined);
    });

    it('has bytes as they are, in base64, or with escapes', () => {
      assert.equal(data(String.raw`a\n\xff`), String.raw`a\n\xff`);
      assert.equal(data('\xff\xfe'), '\xff\xfe');
      assert.equal(data('AAEC; format=base64'), '\0\x01\x02');
      assert.equal(cstring(String.raw`a\\n\r\n\x00\xfF\x3b`), 'a\\n\r\n\0\xff;');
      assert.equal(cstring(String.raw`a\tb\"c`), 'abc');
    });

    it('is refused with an escape that is cut short', () => {
      for (const text of ['a\\', String.raw`\x`, String.raw`\x4`, String.raw`\x4g`, String.raw`\\\x`])
        assert.equal(fault('Grip-Keep-Alive', `${text}; format=cstring`), 'failed to parse Grip-Keep-Alive cstring format', text);
    });

    it('is refused without data, and with what is not known', () => {
      for (const value of ['', ' ', '; timeout=3'])
        assert.equal(fault('Grip-Keep-Alive', value), 'Grip-Keep-Alive cannot be empty');
      assert.equal(fault('Grip-Keep-Alive', 'x; mode=Idle'), "no such Grip-Keep-Alive mode 'Idle'");
      assert.equal(fault('Grip-Keep-Alive', 'x; format=hex'), "no such Grip-Keep-Alive format 'hex'");
      assert.equal(fault('Grip-Keep-Alive', 'x; timeout=soon'), 'failed to parse Grip-Keep-Alive timeout value');
      assert.equal(fault('Grip-Keep-Alive', 'x; timeout=-1'), 'Grip-Keep-Alive timeout has invalid value');
    });
  });

  describe('Grip-Set-Meta', () => {
    it('is a list of pairs; names are kept in lower case, and the last of a name counts', () => {
      assert.deepEqual(
        hold('Grip-Set-Meta', wire('User="4,2", id_format=%(a)s-%(b)s'), 'Grip-Set-Meta', wire('name=Zoë, user=43,')).meta,
        new Map([['user', '43'], ['id_format', '%(a)s-%(b)s'], ['name', 'Zoë']]), // prettier-ignore
      );
    });

    it('is refused without a name', () => {
      for (const value of ['', ' ', '="x"', 'a=1, =2', 'a="1'])
        assert.equal(fault('Grip-Set-Meta', value), 'Grip-Set-Meta cannot be empty');
    });

    it('has bounds', () => {
      const many = Array.from({ length: limits.metadataItems + 5 }, (_, i) => `n${i}=1`).join(',');
      assert.equal(hold('Grip-Set-Meta', many).meta.size, limits.metadataItems);
      assert.deepEqual([...hold('Grip-Set-Meta', `a=${'x'.repeat(limits.metadataBytes + 1)}, b=1`).meta.keys()], ['b']);
    });
  });

  describe('Grip-Link', () => {
    it('gives the next link and the one for the end', () => {
      const { next, gone } = hold('Grip-Link', '</items/?after=7,8;x>; rel=next; timeout=30, </gone>; rel="gone"');
      assert.deepEqual([next, gone], [{ uri: '/items/?after=7,8;x', timeoutMs: 30_000 }, '/gone']);
      assert.deepEqual(hold('Grip-Link', '<https://api.example/x>; rel=next').next?.timeoutMs, 120_000);
      assert.equal(hold('Grip-Link', '</a>; rel=next; timeout=0').next?.timeoutMs, 1000);
      assert.equal(hold('Grip-Link', wire('</größe/%20>; rel=next')).next?.uri, '/gr%C3%B6%C3%9Fe/%20');
    });

    it('is ignored without parameters, and with a relation that is not known', () => {
      assert.deepEqual(hold('Grip-Link', '</a>, b', 'Grip-Link', '</a>; rel=prev').next, undefined);
    });

    it('is refused where it is no link', () => {
      for (const value of ['/a; rel=next', '<>; rel=next', '</a; rel=next', '</a>b; rel=next', '</a>; rel="next', '; rel=next'])
        assert.equal(fault('Grip-Link', value), 'failed to parse Grip-Link value', value);
      for (const value of ['</a b>; rel=next', '<http://[>; rel=next', '<a<b>; rel=next'])
        assert.equal(fault('Grip-Link', value), 'Grip-Link contains invalid link', value);
      assert.equal(fault('Grip-Link', '</a>; rel=next; timeout=x'), 'failed to parse Grip-Link timeout value');
      assert.equal(fault('Grip-Link', '</a>; rel=next; timeout=-5'), 'Grip-Link timeout has invalid value');
    });
  });

  describe('the head for the client', () => {
    const head = (...headers: string[]): Instruct['head'] =>
      readInstruct({ status: 500, reason: 'Oops', headers: ['Content-Type', 'a/b', 'X-A', '1', ...headers] }, '').head;

    it('is that of the reply, without any Grip field', () => {
      assert.deepEqual(head('Grip-Hold', 'stream', 'GRIP-NEW', 'x', 'Set-Cookie', 'a', 'Set-Cookie', 'b'), {
        status: 500,
        reason: 'Oops',
        headers: ['Content-Type', 'a/b', 'X-A', '1', 'Set-Cookie', 'a', 'Set-Cookie', 'b'],
      });
    });

    it('has the status of Grip-Status', () => {
      for (const [value, status, reason] of [
        ['304', 304, 'Not Modified'],
        ['404 Gone  fishing ', 404, 'Gone  fishing'],
        ['599', 599, 'Undefined Reason'],
      ] as const)
        assert.deepEqual([head('Grip-Status', value).status, head('Grip-Status', value).reason], [status, reason]);
    });

    it('cannot have a status that no final answer has', () => {
      for (const value of ['', 'x', '-1', '1000', '20', '101', '200x', 'OK 200', '2.0'])
        assert.equal(fault('Grip-Status', value), 'Grip-Status contains invalid status code', value);
    });

    it('has only the fields of Grip-Expose-Headers, and what is needed to read the body', () => {
      const exposed = head(
        'Content-Length',
        '5',
        'Content-Encoding',
        'gzip',
        'X-B',
        '2',
        'Grip-Expose-Headers',
        'x-a, X-None',
        'grip-expose-headers',
        'X-b',
      );
      assert.deepEqual(exposed.headers, ['X-A', '1', 'Content-Length', '5', 'Content-Encoding', 'gzip', 'X-B', '2']);
      assert.deepEqual(head('Grip-Expose-Headers', '').headers, []);
    });
  });

  it('tell the backend what a client has', () => {
    assert.equal(gripLast('items', '8'), 'items; last-id=8');
    assert.equal(gripLast('größe', 'ä'), wire('größe; last-id=ä'));
    for (const id of ['', ' a ', 'a b', 'a;b', 'a,b', '"a"', 'a\\b', 'a="']) {
      const [element] = readList(gripLast('items', id) ?? '') ?? [];
      assert.deepEqual(element, { value: 'items', parameters: [{ name: 'last-id', value: id }] }, id);
    }
  });

  it('never carry what would make two fields of one', () => {
    for (const id of ['a\r\nX: y', 'a\nb', 'a\0']) assert.equal(gripLast('items', id), undefined);
  });
});
