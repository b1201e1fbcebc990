/** Publishing and commands over real ZeroMQ sockets (GRIP 6.6). */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Publisher, Push, Request } from 'zeromq';
import type { Log } from '../../gateway/core/log.ts';
import type { StatisticsReport } from '../../gateway/core/control-host.ts';
import { limits } from '../../gateway/core/limits.ts';
import { silentLog } from '../../gateway/core/log.ts';
import { deny, type Policy } from '../../gateway/core/policy.ts';
import { decodeTnetstring, encodeTnetstring, type TnetValue } from '../../gateway/wire/tnetstring.ts';
import { text } from '../support/backend.ts';
import type { Client } from '../support/client.ts';
import { freePort } from '../support/processes.ts';
import { held, setHoldStage, stream, byPath, takeAnswer, takeText } from './holds.ts';
import {
  acceptedWithGrip,
  afterOpen,
  clearStage,
  eventually,
  nothing,
  onClear,
  pause,
  setStage,
  stageConfig,
  type Stage,
} from './stage.ts';

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foregate-'));
});
afterEach(async () => {
  await clearStage();
  await rm(folder, { recursive: true });
});

const spec = (name: string): string => `ipc://${folder}/${name}`;
const item = (channel: string, content: string, more: object = {}) => ({ channel, ...more, 'ws-message': { content } });
const tnet = (value: unknown): Buffer => encodeTnetstring(value as TnetValue);
const json = (value: unknown): string => `J${JSON.stringify(value)}`;

interface ZeroMqTerms {
  readonly zeromq: object;
  readonly log?: Log;
  readonly limits?: object;
}

/** Whoever connects joins the channel of its path. */
async function setZeroMq({ zeromq, log = silentLog, ...settings }: ZeroMqTerms): Promise<Stage> {
  return setStage({
    answer: (request) =>
      afterOpen(() => nothing, acceptedWithGrip([text(`c:{"type":"subscribe","channel":"${request.path.slice(1)}"}`)]))(request),
    settings: { control: { port: 0, zeromq }, ...settings },
    log,
  });
}

async function listener(stage: Stage, channel: string, count = 1): Promise<Client> {
  const client = await stage.open(`/${channel}`);
  await eventually(async () => (await stage.members(channel)) === count);
  return client;
}

function push(to: string): Push {
  const socket = new Push({ linger: 0, sendTimeout: 3000 });
  onClear(() => socket.close());
  socket.connect(to);
  return socket;
}

function commander(to: string): (request: unknown) => Promise<Record<string, unknown>> {
  const socket = new Request({ linger: 0, sendTimeout: 3000, receiveTimeout: 5000 });
  onClear(() => socket.close());
  socket.connect(to);
  return async (request) => {
    await socket.send(Buffer.isBuffer(request) || Array.isArray(request) ? (request as Buffer) : tnet(request));
    const [reply] = await socket.receive();
    assert.ok(reply);
    return asText(decodeTnetstring(reply)) as Record<string, unknown>;
  };
}

/** Bytes as text, for comparing. */
function asText(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString();
  if (Array.isArray(value)) return value.map(asText);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, asText(member)]));
}

async function counter({ controlUrl }: Stage, name: string): Promise<number> {
  const page = await (await fetch(`${controlUrl}/metrics`)).text();
  return Number(new RegExp(`^foregate_${name}_total (.*)$`, 'm').exec(page)?.[1]);
}

describe('a PULL socket', () => {
  it('takes items in each of the three forms, in their order', async () => {
    const stage = await setZeroMq({ zeromq: { pull: spec('in') } });
    const client = await listener(stage, 'a');
    const socket = push(spec('in'));
    await socket.send(json(item('a', '1')));
    await socket.send(Buffer.concat([Buffer.from('T'), tnet(item('a', '2'))]));
    await socket.send(tnet(item('a', '3')));
    for (const content of ['1', '2', '3']) assert.equal(await client.nextText(), content);
  });

  it('brings an item to every kind of client over TCP', async () => {
    const port = await freePort();
    const stage = await setHoldStage({
      answer: byPath({ '/poll': held('p', {}, 'nothing'), '/stream': stream('p', {}, 'begin\n') }),
      settings: { control: { port: 0, zeromq: { pull: `tcp://127.0.0.1:${port}` } } },
    });
    const [poll, streaming] = [await stage.request('/poll'), await stage.request('/stream')];
    await stage.joined('p', 2);
    const formats = { 'http-stream': { content: 'hello\n' }, 'http-response': { body: 'hello\n', headers: [['X-A', 'b']] } };
    await push(`tcp://127.0.0.1:${port}`).send(tnet({ channel: 'p', formats }));
    const answer = await takeAnswer(poll);
    assert.deepEqual([answer.body, answer.headers.get('x-a')], ['hello\n', 'b']);
    await streaming.takeHead();
    await takeText(streaming, 'begin\nhello\n');
  });

  it('checks items as a publish call does: repetition, order, filters', async () => {
    const stage = await setZeroMq({ zeromq: { pull: spec('in') } });
    const client = await listener(stage, 'a');
    const socket = push(spec('in'));
    await socket.send(tnet(item('a', '1', { id: '1' })));
    await socket.send(tnet(item('a', '3', { id: '3', 'prev-id': '2' })));
    await socket.send(tnet(item('a', '2', { id: '2', 'prev-id': '1' })));
    await socket.send(tnet(item('a', '2', { id: '2', 'prev-id': '1' })));
    await socket.send(tnet(item('a', '4', { id: '4', 'prev-id': '3' })));
    for (const content of ['1', '2', '3', '4']) assert.equal(await client.nextText(), content);
  });

  it('lives on after frames that are nothing, and tells of them once', async () => {
    const told: unknown[] = [];
    const log = { ...silentLog, warn: (event: string, what: unknown) => void told.push([event, what]) };
    const stage = await setZeroMq({ zeromq: { pull: spec('in') }, log });
    const client = await listener(stage, 'a');
    const socket = push(spec('in'));
    const bad = ['', 'J', 'J{', 'Jnull', 'T', 'x', '99999999999:a,', '5:hello,', '0:~', '{"channel":"a"}'];
    for (const frame of bad) await socket.send(frame);
    await socket.send(['two', 'frames']);
    await socket.send(Buffer.alloc(5000, '['));
    await socket.send(tnet(item('a', 'still here')));
    assert.equal(await client.nextText(), 'still here');
    assert.equal(await counter(stage, 'publications_refused'), bad.length + 2);
    const refusals = told.filter((entry) => Array.isArray(entry) && entry[0] === 'zeromq.refused');
    assert.ok(refusals.length >= 1 && refusals.length < 5, `${refusals.length}`);
  });

  it('ends the connection of a peer whose message is larger than a publish call may be', async () => {
    const stage = await setZeroMq({ zeromq: { pull: spec('in') }, limits: { publishBytes: 2000 } });
    const client = await listener(stage, 'a');
    await push(spec('in')).send(tnet(item('a', 'x'.repeat(5000))));
    await push(spec('in')).send(tnet(item('a', 'small')));
    assert.equal(await client.nextText(), 'small');
  });

  it('leaves others their turn in a flood', async () => {
    const stage = await setZeroMq({ zeromq: { pull: spec('in') } });
    const client = await listener(stage, 'end');
    const socket = push(spec('in'));
    const frame = tnet(item('nobody', 'x'.repeat(200)));
    const flood = (async () => {
      for (let i = 0; i < 20_000; i += 1) await socket.send(frame);
      await socket.send(tnet(item('end', 'done')));
      return 'over';
    })();
    let answers = 0;
    for (;;) {
      const answer = fetch(`${stage.controlUrl}/health/live`).then(({ status }) => status);
      const first = await Promise.race([answer, flood]);
      if (first === 'over') break;
      assert.equal(first, 200);
      answers += 1;
    }
    assert.ok(answers > 3, `${answers} answers`);
    assert.equal(await client.nextText(20_000), 'done');
  });
});

describe('a SUB socket', () => {
  it('takes items of channels that have subscribers, from publishers that connect', async () => {
    const stage = await setZeroMq({ zeromq: { subscribe: [spec('sub')] } });
    const client = await listener(stage, 'a');
    const publisher = new Publisher({ linger: 0 });
    onClear(() => publisher.close());
    publisher.connect(spec('sub'));
    await publishUntilHeard(publisher, 'a', client);
    await publisher.send(['b', tnet(item('b', 'for nobody'))]);
    await publisher.send(['ab', tnet(item('ab', 'for nobody'))]);
    await publisher.send(['a', json(item('elsewhere', 'in JSON'))]);
    assert.equal(await client.nextText(), 'in JSON');
    const { total } = (await (await fetch(`${stage.controlUrl}/stats`)).json()) as StatisticsReport;
    assert.equal(total.received, 2);
  });

  it('connects to publishers where it is told to', async () => {
    const publisher = new Publisher({ linger: 0 });
    onClear(() => publisher.close());
    await publisher.bind(spec('pub'));
    const stage = await setZeroMq({ zeromq: { subscribe: [spec('other'), spec('pub')], connect: true } });
    const client = await listener(stage, 'a');
    await publishUntilHeard(publisher, 'a', client);
  });

  it('does not mind sessions that end after it', async () => {
    const stage = await setZeroMq({ zeromq: { subscribe: [spec('sub')] } });
    const clients = [await listener(stage, 'a'), await listener(stage, 'b')];
    await stage.foregate.stop();
    for (const client of clients) assert.equal((await client.closed()).code, 1012);
  });

  it('lives on after messages that are nothing', async () => {
    const stage = await setZeroMq({ zeromq: { subscribe: [spec('sub')] } });
    const client = await listener(stage, 'a');
    const publisher = new Publisher({ linger: 0 });
    onClear(() => publisher.close());
    publisher.connect(spec('sub'));
    await publishUntilHeard(publisher, 'a', client);
    for (const message of [['a'], ['a', ''], ['a', 'x'], ['a', 'J{}', 'more'], ['a\u0000', 'J{}']]) await publisher.send(message);
    await publisher.send(['a', json(item('a', 'still here'))]);
    assert.equal(await client.nextText(), 'still here');
    assert.equal(await counter(stage, 'publications_refused'), 4);
  });

  /** What is published before the subscription has arrived is lost, so it is published again. */
  async function publishUntilHeard(publisher: Publisher, channel: string, client: Client): Promise<void> {
    const hearing = client.nextText(10_000);
    for (;;) {
      await publisher.send([channel, tnet(item(channel, 'first', { id: 'once' }))]);
      const heard = await Promise.race([hearing, pause(20)]);
      if (heard === undefined) continue;
      assert.equal(heard, 'first');
      return;
    }
  }
});

describe('commands', () => {
  const zeromq = () => ({ pull: spec('in'), subscribe: [spec('sub')], commands: spec('commands') });

  it('tell which sessions are open', async () => {
    const stage = await setZeroMq({ zeromq: zeromq() });
    await listener(stage, 'a');
    const cid = stage.backend.requests[0]?.headers['connection-id'] ?? '';
    const ask = commander(spec('commands'));
    assert.deepEqual(await ask({ id: '7', method: 'conncheck', args: { ids: ['nobody', cid] } }), {
      id: '7',
      success: true,
      value: [cid],
    });
    assert.deepEqual(await ask({ method: 'conncheck', args: { ids: [] } }), { success: true, value: [] });
  });

  it('make a session ask its backend, or all of a channel', async () => {
    const stage = await setZeroMq({ zeromq: zeromq() });
    await listener(stage, 'a');
    await listener(stage, 'a', 2);
    const cid = stage.backend.requests[0]?.headers['connection-id'] ?? '';
    const ask = commander(spec('commands'));
    assert.deepEqual(await ask({ id: '1', method: 'refresh', args: { cid } }), { id: '1', success: true, value: null });
    await stage.backend.until(() => stage.backend.requests.length === 3);
    assert.equal(stage.backend.requests[2]?.headers['connection-id'], cid);
    assert.deepEqual(await ask({ id: '2', method: 'refresh', args: { channel: 'a' } }), { id: '2', success: true, value: null });
    await stage.backend.until(() => stage.backend.requests.length === 5);
    assert.equal(await counter(stage, 'publications'), 0);
    assert.deepEqual(await ask({ id: '3', method: 'refresh', args: { channel: 'nobody' } }), {
      id: '3',
      success: true,
      value: null,
    });
    assert.deepEqual(await ask({ id: '4', method: 'refresh', args: { cid: 'x' } }), {
      id: '4',
      success: false,
      condition: 'item-not-found',
    });
  });

  it('publish items, all or none', async () => {
    const stage = await setZeroMq({ zeromq: zeromq() });
    const client = await listener(stage, 'a');
    const ask = commander(spec('commands'));
    const refused = await ask({ id: '1', method: 'publish', args: { items: [item('a', 'lost'), { channel: 'a' }] } });
    assert.deepEqual(refused, {
      id: '1',
      success: false,
      condition: 'bad-request',
      value: 'Invalid format: no formats specified',
    });
    assert.deepEqual(await ask({ id: '2', method: 'publish', args: { items: [item('a', '1'), item('a', '2')] } }), {
      id: '2',
      success: true,
      value: null,
    });
    for (const content of ['1', '2']) assert.equal(await client.nextText(), content);
  });

  it('make held requests ask again', async () => {
    let answers = 0;
    const stage = await setHoldStage({
      answer: () => ((answers += 1) === 1 ? held('p', {}, 'nothing') : { body: 'recovered' }),
      settings: { control: { port: 0, zeromq: zeromq() } },
    });
    const poll = await stage.request('/poll');
    await stage.joined('p');
    assert.deepEqual(await commander(spec('commands'))({ method: 'recover' }), { success: true, value: null });
    assert.equal((await takeAnswer(poll)).body, 'recovered');
  });

  it('name the sockets there are', async () => {
    await setZeroMq({ zeromq: zeromq() });
    const { success, value } = await commander(spec('commands'))({ method: 'get-zmq-uris', args: {} });
    assert.deepEqual(
      [success, value],
      [true, { command: spec('commands'), 'publish-pull': spec('in'), 'publish-sub': spec('sub') }],
    );
  });

  it('are all answered, whatever is asked', async () => {
    await setZeroMq({ zeromq: zeromq() });
    const ask = commander(spec('commands'));
    for (const method of ['nothing', 'constructor', '__proto__', ''])
      assert.deepEqual(await ask({ id: '1', method }), { id: '1', success: false, condition: 'method-not-found' });
    for (const request of [
      { id: '1', method: 'conncheck' },
      { id: '1', method: 'conncheck', args: { ids: 'x' } },
      { id: '1', method: 'conncheck', args: { ids: [1] } },
      { id: '1', method: 'conncheck', args: { ids: Array.from({ length: 10_001 }, () => 'x') } },
      { id: '1', method: 'refresh', args: {} },
      { id: '1', method: 'refresh', args: { cid: 5 } },
      { id: '1', method: 'refresh', args: { channel: '' } },
      { id: '1', method: 'publish' },
      { id: '1', method: 'publish', args: { items: 'x' } },
      { id: '1', method: 'publish', args: { items: [null] } },
    ]) {
      const { id, success, condition } = await ask(request);
      assert.deepEqual([id, success, condition], ['1', false, 'bad-request'], JSON.stringify(request).slice(0, 100));
    }
    for (const request of [
      Buffer.alloc(0),
      Buffer.from('x'),
      Buffer.from('0:~'),
      tnet({ id: '1' }),
      tnet({ method: 5 }),
      tnet({ method: 'recover', args: 'x' }),
      [tnet({ method: 'recover' }), 'more'],
    ]) {
      const { success, condition } = await ask(request);
      assert.deepEqual([success, condition], [false, 'bad-request']);
    }
    assert.equal((await ask({ id: '1', method: 'recover' }))['success'], true);
  });
});

describe('ZeroMQ and the policies', () => {
  const only: Policy = {
    publish: ({ channel }) => (channel === 'a' ? undefined : deny('forbidden', 'You may not publish to this channel.')),
  };

  /** As a policy file of the operator's own would be. */
  async function withPolicy(policy: Policy): Promise<Stage> {
    const zeromq = { pull: spec('in'), commands: spec('commands') };
    const stage = await setZeroMq({ zeromq });
    const loaded = await stageConfig({ settings: { control: { port: 0, zeromq } } }, [{ url: stage.backend.origin }]);
    const definition = { name: 'only', summary: '', options: {}, create: () => policy };
    const place = { file: '', line: 0, column: 0, path: '' };
    await stage.foregate.reload({ ...loaded, controlPolicies: [{ use: 'only', definition, options: {}, place }] });
    return stage;
  }

  it('hold from a reload on: what they refuse is not published', async () => {
    const stage = await withPolicy(only);
    const [allowed, forbidden] = [await listener(stage, 'a'), await listener(stage, 'b')];
    const socket = push(spec('in'));
    await socket.send(tnet(item('b', 'no')));
    await socket.send(tnet(item('a', 'yes')));
    assert.equal(await allowed.nextText(), 'yes');
    assert.deepEqual(await commander(spec('commands'))({ method: 'publish', args: { items: [item('b', 'no')] } }), {
      success: false,
      condition: 'forbidden',
      value: 'You may not publish to this channel.',
    });
    assert.equal(await counter(stage, 'publications_refused'), 1);
    await assert.rejects(forbidden.nextText(100));
  });

  it('are asked for so many items of a flood in one turn of the loop, and no more', async () => {
    const turns: number[] = [0];
    const policy: Policy = {
      publish: () => {
        turns[turns.length - 1] = (turns.at(-1) ?? 0) + 1;
        return undefined;
      },
    };
    await withPolicy(policy);
    const socket = push(spec('in'));
    const frame = tnet(item('nobody', 'x'));
    let turning = true;
    const turn = (): void => {
      turns.push(0);
      if (turning) setImmediate(turn);
    };
    setImmediate(turn);
    for (let i = 0; i < 5000; i += 1) await socket.send(frame);
    await eventually(() => turns.reduce((sum, count) => sum + count, 0) === 5000, 10_000);
    turning = false;
    const most = Math.max(...turns);
    // What is left of one burst, and the next.
    assert.ok(most <= 2 * limits.zeroMqBurst, `${most} in one turn`);
  });

  it('keep the order of items that one of them has to think about', async () => {
    const stage = await withPolicy({
      publish: ({ id }) => (id === 'slow' ? new Promise((resolve) => setTimeout(() => resolve(undefined), 50)) : undefined),
    });
    const client = await listener(stage, 'a');
    const socket = push(spec('in'));
    await socket.send(tnet(item('a', '1', { id: 'slow' })));
    await socket.send(tnet(item('a', '2')));
    for (const content of ['1', '2']) assert.equal(await client.nextText(), content);
  });
});

describe('ZeroMQ sockets', () => {
  it('are closed with the program, and can be opened again at once', async () => {
    const port = await freePort();
    for (let i = 0; i < 2; i += 1) {
      const stage = await setZeroMq({ zeromq: { pull: `tcp://127.0.0.1:${port}`, commands: spec('commands') } });
      const client = await listener(stage, 'a');
      await push(`tcp://127.0.0.1:${port}`).send(tnet(item('a', 'x')));
      assert.equal(await client.nextText(), 'x');
      await stage.foregate.stop();
    }
  });

  it('keep the program from starting when one cannot be opened, with its name', async () => {
    const port = await freePort();
    await setZeroMq({ zeromq: { pull: `tcp://127.0.0.1:${port}` } });
    await assert.rejects(setZeroMq({ zeromq: { pull: `tcp://127.0.0.1:${port}` } }), (error: Error) =>
      error.message.startsWith(`control.zeromq: tcp://127.0.0.1:${port} cannot be opened: `),
    );
  });

  it('keep it from starting too when one cannot connect', async () => {
    await assert.rejects(setZeroMq({ zeromq: { subscribe: ['tcp://not a host:1'], connect: true } }), (error: Error) =>
      error.message.startsWith('control.zeromq: tcp://not a host:1 cannot be opened: '),
    );
  });

  it('may be on the loopback of IPv6', async () => {
    const port = await freePort();
    const stage = await setZeroMq({ zeromq: { pull: `tcp://[::1]:${port}` } });
    const client = await listener(stage, 'a');
    const socket = new Push({ linger: 0, sendTimeout: 3000, ipv6: true });
    onClear(() => socket.close());
    socket.connect(`tcp://[::1]:${port}`);
    await socket.send(tnet(item('a', 'x')));
    assert.equal(await client.nextText(), 'x');
  });

  it('go on through a reload', async () => {
    const stage = await setZeroMq({ zeromq: { pull: spec('in') } });
    const client = await listener(stage, 'a');
    await stage.foregate.reload(await stageConfig({}, [{ url: stage.backend.origin }]));
    await push(spec('in')).send(tnet(item('a', 'x')));
    assert.equal(await client.nextText(), 'x');
  });
});
