/** `foregate run` with several workers: one program, whichever of its processes a client or a publisher has come to. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import jsonwebtoken from 'jsonwebtoken';
import { isMessage } from '../../gateway/core/event.ts';
import { eventsMediaType } from '../../gateway/wire/websocket-events.ts';
import { reply, startBackend, text, type Backend, type BackendRequest } from '../support/backend.ts';
import { openClient, refusedClient, type Client } from '../support/client.ts';
import { freePort, type Process } from '../support/processes.ts';
import { foregate, outputOf, startForegate } from './command.ts';

let folder: string;
let backend: Backend;
let started: Process | undefined;
let clients: Client[];

/** Connections are dealt out in turn: so many reach every one of two workers. */
const many = 8;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foregate-'));
  backend = await startBackend(subscribing);
  clients = [];
});
afterEach(async () => {
  for (const { socket } of clients) socket.terminate();
  await started?.stop('SIGKILL');
  started = undefined;
  await backend.stop();
  await rm(folder, { recursive: true });
});

/** Subscribes every WebSocket to `news` and sends every message back; any other request is answered with its path. */
function subscribing({ events, path, headers }: BackendRequest) {
  if (headers['content-type'] !== eventsMediaType) return { body: `backend: ${path}` };
  const opened = events.filter((event) => event.kind === 'open');
  const joins = opened.map(() => text('c:{"type":"subscribe","channel":"news"}'));
  const echoed = events.filter(isMessage).map(({ data }) => text(`m:${data.toString()}`));
  const closes = events.filter((event) => event.kind === 'close');
  return reply([...opened, ...joins, ...echoed, ...closes], opened.length > 0 ? { 'Sec-WebSocket-Extensions': 'grip' } : {});
}

interface Terms {
  readonly workers?: number;
  readonly policies?: readonly object[];
  readonly more?: string;
  readonly listen?: string;
}

function write({ workers = 2, policies = [], more = '', listen = '{ host: 127.0.0.1, port: 0 }' }: Terms = {}): Promise<void> {
  const route = { id: 'a', match: { path: '/a' }, target: backend.origin, policies };
  return writeFile(
    join(folder, 'foregate.yaml'),
    `workers: ${workers}\nlisten: [${listen}]\ncontrol: { port: 0 }\ndrain: 100ms\n${more}\nroutes: [${JSON.stringify(route)}]\n`,
  );
}

interface Running {
  readonly url: string;
  readonly control: string;
  readonly run: Process;
}

async function start(): Promise<Running> {
  const run = startForegate(['run'], { cwd: folder });
  started = run;
  const [, control = ''] = await outputOf(run, /"for":"control","address":"([^"]+)"/);
  const [, url = ''] = await outputOf(run, /"for":"clients","address":"([^"]+)"/);
  return { url, control, run };
}

async function open({ url }: Running, headers: Record<string, string> = {}): Promise<Client> {
  const client = await openClient(`${url.replace('http', 'ws')}/a`, { headers });
  clients.push(client);
  return client;
}

async function openMany(running: Running, headers: Record<string, string> = {}): Promise<Client[]> {
  const opened = [];
  for (let i = 0; i < many; i += 1) opened.push(await open(running, headers));
  await eventually(async () => (await subscribers(running)) === opened.length);
  return opened;
}

/** On a connection of its own, so that workers take turns. */
function call(url: string, method = 'GET', body?: object): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const written = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = written === undefined ? {} : { 'Content-Length': written.length, 'Content-Type': 'application/json' };
    const sent = request(url, { method, agent: false, headers }, (response) => {
      let got = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (got += chunk));
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text: got })).once('error', reject);
    });
    sent.once('error', reject).end(written);
  });
}

async function json(url: string, body?: object): Promise<unknown> {
  return JSON.parse((await call(url, body === undefined ? 'GET' : 'POST', body)).text);
}

async function publish({ control }: Running, content: string, more: object = {}): Promise<void> {
  const items = [{ channel: 'news', ...more, formats: { 'ws-message': { content } } }];
  equal((await call(`${control}/publish/`, 'POST', { items })).status, 200);
}

async function subscribers({ control }: Running): Promise<number> {
  const [channel] = (await json(`${control}/channels`)) as { readonly subscribers: number }[];
  return channel?.subscribers ?? 0;
}

async function eventually(check: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; await after(20)) if (await check()) return;
  ok(false, `never came true: ${check.toString()}`);
}

/** Of the worker that has the number now. */
function pidOf({ run }: Running, worker: number): number {
  const found = [...run.output().matchAll(new RegExp(`"worker":${worker},"pid":(\\d+),"event":"worker\\.started"`, 'g'))];
  return Number(found.at(-1)?.[1]);
}

const withKey = [{ use: 'api-key', keys: [{ name: 'ann', key: 'k' }] }];
const key = { 'X-API-Key': 'k' };

describe('workers', function () {
  this.timeout(60_000);

  it('all have what is published to any of them, in one order', async () => {
    await write();
    const running = await start();
    const opened = await openMany(running);
    const numbers = Array.from({ length: 20 }, (_, i) => String(i));
    // Each on a connection of its own, so now this worker takes it, now that one.
    for (const number of numbers) await publish(running, number);
    for (const client of opened) for (const number of numbers) equal(await client.nextText(), number);
  });

  it('put items in order by their ids, whichever of them they come to, and take none twice', async () => {
    await write();
    const running = await start();
    const opened = await openMany(running);
    await publish(running, 'one', { id: '1' });
    await publish(running, 'three', { id: '3', 'prev-id': '2' });
    await publish(running, 'two', { id: '2', 'prev-id': '1' });
    await publish(running, 'one again', { id: '1' });
    await publish(running, 'four', { id: '4', 'prev-id': '3' });
    for (const client of opened) for (const expected of ['one', 'two', 'three', 'four']) equal(await client.nextText(), expected);
  });

  it('hold a rate limit together', async () => {
    await write({ policies: [{ use: 'rate-limit', connections: 5, window: '1h', by: 'address' }] });
    const running = await start();
    for (let i = 0; i < 5; i += 1) await open(running);
    for (let i = 0; i < 4; i += 1) equal((await refusedClient(`${running.url.replace('http', 'ws')}/a`)).status, 429);
  });

  it('hold a limit of connections together, and give back what was closed', async () => {
    await write({ policies: [{ use: 'concurrency', max: 3, by: 'address' }] });
    const running = await start();
    const [first] = [await open(running), await open(running), await open(running)];
    const url = `${running.url.replace('http', 'ws')}/a`;
    for (let i = 0; i < 4; i += 1) equal((await refusedClient(url)).status, 429);
    await first.close();
    await eventually(() =>
      open(running).then(
        () => true,
        () => false,
      ),
    );
    for (let i = 0; i < 2; i += 1) equal((await refusedClient(url)).status, 429);
  });

  it('end the oldest connection in whichever of them it is', async () => {
    await write({ policies: [{ use: 'concurrency', max: 2, by: 'address', over: 'evict' }] });
    const running = await start();
    const opened = [];
    for (let i = 0; i < 5; i += 1) opened.push(await open(running));
    for (const client of opened.slice(0, 3)) equal((await client.closed()).code, 4429);
    for (const client of opened.slice(3)) equal(client.closing, undefined);
  });

  it('revoke together, say how many sessions ended in all, and let no more in', async () => {
    await write({ policies: withKey });
    const running = await start();
    const opened = await openMany(running, key);
    deepEqual(await json(`${running.control}/revoke`, { key: 'ann' }), { ended: many });
    for (const client of opened) equal((await client.closed()).code, 4401);
    // Both had some of them.
    for (const worker of [1, 2])
      await outputOf(running.run, new RegExp(`"worker":${worker},"of":"key","ended":[1-9]\\d*,"event":"credentials\\.revoked"`));
    for (let i = 0; i < 4; i += 1)
      equal((await refusedClient(`${running.url.replace('http', 'ws')}/a`, { headers: key })).status, 401);
  });

  it('renew the token of a session that another of them has, and say what is wrong with one', async () => {
    const secret = 'a secret of thirty-two bytes or more';
    const signed = (sub: string): string => jsonwebtoken.sign({ sub }, secret, { expiresIn: '1h' });
    await write({ policies: [{ use: 'jwt', secret }] });
    const running = await start();
    await openMany(running, { Authorization: `Bearer ${signed('ann')}` });
    const listed = (await json(`${running.control}/connections`)) as { readonly id: string }[];
    for (const { id: cid } of listed) {
      deepEqual(await json(`${running.control}/renew`, { cid, token: signed('ann') }), { message: 'Renewed' });
      equal((await call(`${running.control}/renew`, 'POST', { cid, token: signed('eve') })).status, 422);
    }
    equal((await call(`${running.control}/renew`, 'POST', { cid: 'nobody', token: signed('ann') })).status, 404);
  });

  it('answer the control API for one another', async () => {
    await write();
    const running = await start();
    await openMany(running);
    const { control } = running;
    const listed = (await json(`${control}/connections`)) as { readonly id: string }[];
    equal(listed.length, many);
    equal(((await json(`${control}/connections?limit=3`)) as unknown[]).length, 3);
    const ids = listed.map(({ id }) => id);
    deepEqual(await json(`${control}/conncheck/`, { ids: [...ids, 'nobody'] }), ids);
    for (const id of ids) {
      equal(((await json(`${control}/connections/${id}`)) as { readonly id: string }).id, id);
      deepEqual(await json(`${control}/refresh/`, { cid: id }), { message: 'Refreshed' });
    }
    equal((await call(`${control}/connections/nobody`)).status, 404);
    equal((await call(`${control}/refresh/`, 'POST', { cid: 'nobody' })).status, 404);
    deepEqual(await json(`${control}/channels`), [{ channel: 'news', subscribers: many }]);
  });

  it('answer without one that hangs, and tell of it in the log', async () => {
    await write();
    const running = await start();
    await openMany(running);
    const stopped = pidOf(running, 2);
    process.kill(stopped, 'SIGSTOP');
    try {
      // It may have got a connection before it was stopped, and never answers on it: the next ones are not given to it.
      const answers = Array.from({ length: 4 }, () => call(`${running.control}/connections`));
      for (const answer of answers) void answer.catch(() => {});
      const { text: listed } = await Promise.any(answers);
      const count = (JSON.parse(listed) as unknown[]).length;
      ok(count > 0 && count < many, `${count} of ${many}`);
      await outputOf(running.run, /"worker":1,"question":"sessions","failed":0,"silent":1,"event":"workers\.no-answer"/);
    } finally {
      process.kill(stopped, 'SIGCONT');
    }
    await eventually(async () => ((await json(`${running.control}/connections`)) as unknown[]).length === many);
  });

  it('count together, and an item once', async () => {
    await write();
    const running = await start();
    await openMany(running);
    for (let i = 0; i < 3; i += 1) await publish(running, String(i));
    const statistics = async () =>
      (await json(`${running.control}/stats`)) as {
        readonly total: Record<string, unknown>;
        readonly routes: readonly { readonly route: string; readonly connections: number }[];
      };
    await eventually(async () => (await statistics()).total['sent'] === 3 * many);
    const { total, routes } = await statistics();
    deepEqual([total['received'], total['connections'], total['subscriptions']], [3, many, many]);
    deepEqual(
      routes.map(({ route, connections }) => [route, connections]),
      [['a', many]],
    );
    const { text: metrics } = await call(`${running.control}/metrics`);
    match(metrics, new RegExp(`^foregate_sessions ${many}$`, 'm'));
    match(metrics, /^foregate_publications_total 3$/m);
    match(metrics, /^message_received 3$/m);
    match(metrics, /^foregate_store_up 1$/m);
  });

  it('lose only the clients of a worker that is killed, replace it, free its leases, and remember what was revoked', async () => {
    await write({ policies: [...withKey, { use: 'concurrency', max: many + 1, by: 'address' }] });
    const running = await start();
    const opened = await openMany(running, key);
    equal(await (async () => (await call(`${running.control}/health/ready`)).status)(), 200);
    // Nobody has this id: but whoever is started later must know it, too.
    deepEqual(await json(`${running.control}/revoke`, { jti: 'x' }), { ended: 0 });
    const killed = pidOf(running, 2);
    process.kill(killed, 'SIGKILL');
    await outputOf(running.run, /"worker":2,"by":"SIGKILL","replacedInMs":\d+,"event":"worker\.ended"/);
    await eventually(() => pidOf(running, 2) !== killed);
    await eventually(() => opened.some(({ closing }) => closing !== undefined));
    const left = opened.filter(({ closing }) => closing === undefined);
    ok(left.length > 0 && left.length < many, `${left.length} left`);
    // As many as may be again.
    const places = many + 1 - left.length;
    for (let i = 0; i < places; i += 1) await open(running, key);
    equal((await refusedClient(`${running.url.replace('http', 'ws')}/a`, { headers: key })).status, 429);
    await eventually(async () => (await subscribers(running)) === many + 1);
    await publish(running, 'hello');
    for (const client of [...left, ...clients.slice(-places)]) equal(await client.nextText(), 'hello');
    deepEqual(await json(`${running.control}/revoke`, { key: 'ann' }), { ended: many + 1 });
  });

  it('tell a worker that replaces another what was revoked before', async () => {
    // The port is free while none is up: another one would be taken then, if any would do.
    await write({ policies: withKey, listen: `{ host: 127.0.0.1, port: ${await freePort()} }` });
    const running = await start();
    await json(`${running.control}/revoke`, { key: 'ann' });
    const before = [1, 2].map((worker) => pidOf(running, worker));
    for (const pid of before) process.kill(pid, 'SIGKILL');
    await eventually(() => [1, 2].every((worker, i) => pidOf(running, worker) !== before[i]));
    for (let i = 0; i < 4; i += 1)
      equal((await refusedClient(`${running.url.replace('http', 'ws')}/a`, { headers: key })).status, 401);
  });

  it('replace a worker that keeps ending more and more slowly', async () => {
    await write();
    const running = await start();
    for (let i = 0; i < 3; i += 1) {
      const pid = pidOf(running, 1);
      process.kill(pid, 'SIGKILL');
      await eventually(() => pidOf(running, 1) !== pid);
    }
    const waits = [...running.run.output().matchAll(/"replacedInMs":(\d+)/g)].map(([, ms]) => Number(ms));
    deepEqual(waits, [100, 200, 400]);
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`close all sessions at ${signal}, and the program ends with 0`, async () => {
      await write();
      const running = await start();
      const opened = await openMany(running);
      process.kill(running.run.pid, signal);
      for (const client of opened) equal((await client.closed()).code, 1012);
      equal(await running.run.ended, 0);
      ok(!running.run.output().includes('worker.ended'));
    });
  }

  it('do nothing at a signal of their own: the primary decides', async () => {
    await write();
    const running = await start();
    const [client] = await openMany(running);
    for (const worker of [1, 2])
      for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.kill(pidOf(running, worker), signal);
    client?.send('still there');
    equal(await client?.nextText(), 'still there');
    process.kill(running.run.pid, 'SIGTERM');
    equal(await running.run.ended, 0);
  });

  it('end when the primary is killed', async () => {
    await write();
    const running = await start();
    const pids = [1, 2].map((worker) => pidOf(running, worker));
    process.kill(running.run.pid, 'SIGKILL');
    await eventually(() => pids.every((pid) => !isRunning(pid)));
  });

  it('all take a new configuration at SIGHUP, and one that is wrong is told once', async () => {
    await write();
    const running = await start();
    await openMany(running);
    const statusOf = async (path: string): Promise<number> => (await call(`${running.url}${path}`)).status;
    await write({ policies: withKey });
    process.kill(running.run.pid, 'SIGHUP');
    await outputOf(running.run, new RegExp(`"routes":1,"kept":${many},"drained":0,"event":"config\\.reloaded"`));
    for (let i = 0; i < 4; i += 1) equal(await statusOf('/a'), 401);
    await write({ more: 'colour: red' });
    process.kill(running.run.pid, 'SIGHUP');
    await outputOf(running.run, /"event":"config\.refused"/);
    for (let i = 0; i < 4; i += 1) equal(await statusOf('/a'), 401);
    equal(running.run.output().match(/config\.refused/g)?.length, 1);
    // Who comes later has what the others have, not what stands in the file by now.
    const pid = pidOf(running, 1);
    process.kill(pid, 'SIGKILL');
    await eventually(() => pidOf(running, 1) !== pid);
    for (let i = 0; i < 4; i += 1) equal(await statusOf('/a'), 401);
  });

  it('name themselves in the log, and the addresses stand there once', async () => {
    await write({ workers: 3 });
    const { run } = await start();
    equal(run.output().match(/"event":"listening"/g)?.length, 2);
    for (const worker of [1, 2, 3]) match(run.output(), new RegExp(`"worker":${worker},"pid":\\d+,"event":"worker\\.started"`));
  });

  it('share a Unix socket, in place of what a crash has left there', async () => {
    const socket = join(folder, 'clients.sock');
    await write({ listen: `{ socket: ${socket}, socketMode: '0600' }` });
    const first = await start();
    process.kill(first.run.pid, 'SIGKILL');
    await first.run.ended;
    await eventually(() => ![1, 2].some((worker) => isRunning(pidOf(first, worker))));
    const running = await start();
    equal((await stat(socket)).mode & 0o777, 0o600);
    for (let i = 0; i < 4; i += 1) {
      const answer = await new Promise<string>((resolve, reject) => {
        const sent = connect(socket, () => sent.write('GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'));
        let got = '';
        sent.setEncoding('utf8').on('data', (chunk: string) => (got += chunk));
        sent.once('end', () => resolve(got)).once('error', reject);
      });
      match(answer, /backend: \/a$/);
    }
    process.kill(running.run.pid, 'SIGTERM');
    equal(await running.run.ended, 0);
    await eventually(async () =>
      stat(socket).then(
        () => false,
        () => true,
      ),
    );
  });

  it('warn that SockJS clients that poll need one worker', async () => {
    await write();
    const route = `{ id: s, match: { path: /s }, target: "${backend.origin}", sockjs: { path: /s } }`;
    await writeFile(
      join(folder, 'foregate.yaml'),
      `workers: 2\nlisten: [{ port: 0 }]\ncontrol: { port: 0 }\nroutes: [${route}]\n`,
    );
    const { run } = await start();
    await outputOf(run, /"level":"warn".*"routes":\["s"\].*"event":"workers\.sockjs"/);
  });
});

describe('workers that cannot start', () => {
  it('end the program with 2 for a configuration that is wrong, told once', async () => {
    await write({ more: 'colour: red' });
    const { code, stdout, stderr } = await foregate(['run'], { cwd: folder });
    deepEqual([code, stdout], [2, '']);
    equal(stderr.match(/colour +is not a known key/g)?.length, 1);
  });

  it('end it with 1 for a port that is in use, told once', async () => {
    await write({ listen: `{ host: 127.0.0.1, port: ${backend.port} }` });
    const { code, stderr } = await foregate(['run'], { cwd: folder });
    equal(code, 1);
    match(stderr, new RegExp(`^Port ${backend.port} of 127\\.0\\.0\\.1 is in use\\..*\n$`));
  });

  it('end it with 2 where there are too many of them', async () => {
    await write({ workers: 65 });
    const { code, stderr } = await foregate(['run'], { cwd: folder });
    equal(code, 2);
    match(stderr, /workers/);
  });
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
