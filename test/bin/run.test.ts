/** `foregate run`: starts, reloads, stops. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { startBackend } from '../support/backend.ts';
import { openClient } from '../support/client.ts';
import { freePort, type Process } from '../support/processes.ts';
import { foregate, outputOf, startForegate } from './command.ts';

let folder: string;
let backend: Server;
let target: string;
let started: Process | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foregate-'));
  backend = createServer((request, response) => response.end(`backend: ${request.url ?? ''}`)).listen(0, '127.0.0.1');
  await once(backend, 'listening');
  target = `http://127.0.0.1:${portOf(backend)}`;
});
afterEach(async () => {
  await started?.stop('SIGKILL');
  started = undefined;
  backend.close();
  backend.closeAllConnections();
  await rm(folder, { recursive: true });
});

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port; // A TCP server has no other kind of address.
}

function write(route: string, more = ''): Promise<void> {
  const text = `listen: [{ host: 127.0.0.1 }]\ncontrol: { port: 0 }\ndrain: 100ms\n${more}\nroutes: [{ id: ${route}, match: { path: /${route} }, target: "${target}" }]\n`;
  return writeFile(join(folder, 'foregate.yaml'), text);
}

function writeSocket(path: string): Promise<void> {
  const text = `listen: [{ socket: ${path} }]\ncontrol: { port: 0 }\nroutes: [{ id: a, target: "${target}" }]\n`;
  return writeFile(join(folder, 'foregate.yaml'), text);
}

async function start(): Promise<{ readonly url: string; readonly control: string; readonly run: Process }> {
  started = startForegate(['run', '--port', '0'], { cwd: folder });
  const [, url = ''] = await outputOf(started, /"for":"clients","address":"([^"]+)"/);
  const [, control = ''] = await outputOf(started, /"for":"control","address":"([^"]+)"/);
  return { url, control, run: started };
}

async function statusOf(url: string): Promise<number> {
  const reply = await fetch(url);
  await reply.body?.cancel();
  return reply.status;
}

describe("foregate run with Pushpin's files", () => {
  async function writePushpin(routes: string): Promise<void> {
    const conf = `[runner]\nhttp_port=127.0.0.1:${await freePort()}\n[proxy]\nroutesfile=routes\n[handler]\npush_in_http_port=${await freePort()}\nmessage_rate=2500\n`;
    await writeFile(join(folder, 'pushpin.conf'), conf);
    await writeFile(join(folder, 'routes'), routes);
  }

  async function startPushpin(): Promise<{ readonly url: string; readonly run: Process }> {
    const run = startForegate(['run', '--port', '0', '--pushpin-conf', 'pushpin.conf'], { cwd: folder });
    started = run;
    const [, url = ''] = await outputOf(run, /"for":"clients","address":"([^"]+)"/);
    return { url, run };
  }

  it('serves their routes, and tells what it does not take over', async () => {
    await writePushpin(`*,path_beg=/a,replace_beg=/b ${target.slice('http://'.length)}\n`);
    const { url, run } = await startPushpin();
    equal(await (await fetch(`${url}/a/c`)).text(), 'backend: /b/c');
    equal(await statusOf(`${url}/other`), 502);
    await outputOf(run, /"option":"handler\/message_rate".*"event":"pushpin\.ignored"/);
    await outputOf(run, /"event":"proxies\.everybody"/);
  });

  it('takes up a changed routes file by itself', async () => {
    const place = target.slice('http://'.length);
    await writePushpin(`*,path_beg=/a ${place}\n`);
    const { url, run } = await startPushpin();
    equal(await statusOf(`${url}/z`), 502);
    await writePushpin(`*,path_beg=/z ${place}\n`);
    await outputOf(run, /"event":"config\.reloaded"/);
    equal(await statusOf(`${url}/z`), 200);
  });

  it('ends with 1 and the reason where no route can be taken over', async () => {
    await writePushpin('* zhttp/tcp://127.0.0.1:1\n');
    const { code, stderr } = await foregate(['run', '--pushpin-conf', 'pushpin.conf'], { cwd: folder });
    equal(code, 1);
    match(stderr, /No route of pushpin\.conf can be taken over/);
  });
});

describe('foregate run with ZeroMQ', () => {
  /** As if the package were not installed. */
  const without = `--import=data:text/javascript,${encodeURIComponent(`
    import { registerHooks } from 'node:module';
    registerHooks({
      resolve: (name, context, next) => {
        if (name === 'zeromq') throw new Error('Cannot find package zeromq');
        return next(name, context);
      },
    });`)}`;
  const terms = () => ({ cwd: folder, env: { NODE_OPTIONS: without } });
  const writeControl = (zeromq: string): Promise<void> =>
    writeFile(
      join(folder, 'foregate.yaml'),
      `listen: [{ host: 127.0.0.1 }]\ncontrol: { port: 0, zeromq: { pull: "ipc://${folder}/in"${zeromq} } }\nroutes: [{ id: a, target: "${target}" }]\n`,
    );

  it('ends with 1 and what to install where the package is missing', async () => {
    await writeControl('');
    const { code, stderr } = await foregate(['run', '--port', '0'], terms());
    equal(code, 1);
    match(stderr, /control\.zeromq needs the package zeromq.*npm install zeromq@6/);
  });

  it('starts without it, and with a warning, where it is optional', async () => {
    await writeControl(', optional: true');
    started = startForegate(['run', '--port', '0'], terms());
    const [, url = ''] = await outputOf(started, /"for":"clients","address":"([^"]+)"/);
    await outputOf(started, /"level":"warn".*"event":"zeromq\.missing"/);
    equal(await statusOf(`${url}/a`), 200);
  });

  it('says where it listens', async () => {
    await writeControl('');
    started = startForegate(['run', '--port', '0'], { cwd: folder });
    await outputOf(started, /"for":"zeromq","address":"ipc:/);
    await outputOf(started, /"for":"control"/); // Only then it listens to signals.
    process.kill(started.pid, 'SIGTERM');
    equal(await started.ended, 0);
  });
});

describe('foregate run', () => {
  it('logs where it listens, one line of JSON each, and serves there', async () => {
    await write('a');
    const { url, control, run } = await start();
    for (const line of run.output().trim().split('\n')) {
      const { level, time, event } = JSON.parse(line) as Record<string, unknown>;
      deepEqual([level, event], ['info', 'listening']);
      ok(!Number.isNaN(Date.parse(String(time))));
    }
    equal(await (await fetch(`${url}/a/b`)).text(), 'backend: /a/b');
    equal(await statusOf(`${control}/publish/`), 405);
  });

  it('warns in the log of what a gateway as it comes would cut off, with the line to change', async () => {
    const text = `listen: [{ port: 0 }]\ncontrol: { port: 0 }\nroutes:\n  - id: a\n    target: ${target}\n    adapter: aws\n`;
    await writeFile(join(folder, 'foregate.yaml'), text);
    const { run } = await start();
    await outputOf(run, /"level":"warn".*"about":"timeout".*foregate\.yaml:5:13 {2}routes\[0\].*"event":"gateway\.limit"/);
  });

  it('reads its configuration again at SIGHUP, and says what came of it', async () => {
    await write('a');
    const { url, run } = await start();
    await write('b');
    process.kill(run.pid, 'SIGHUP');
    await outputOf(run, /"routes":1,"kept":0,"drained":0,"event":"config\.reloaded"/);
    deepEqual([await statusOf(`${url}/a`), await statusOf(`${url}/b`)], [404, 200]);
  });

  it('reads it again after its start at a SIGHUP that comes before', async () => {
    const text = `listen: [{ port: 0 }]\ncontrol: { port: 0 }\nroutes:\n  - id: a\n    target: ${target}\n    adapter: aws\n`;
    await writeFile(join(folder, 'foregate.yaml'), text);
    started = startForegate(['run', '--port', '0'], { cwd: folder });
    // This line comes before the servers are loaded.
    await outputOf(started, /"event":"gateway\.limit"/);
    process.kill(started.pid, 'SIGHUP');
    await outputOf(
      started,
      /"event":"listening"[^]*"event":"config\.reloaded"|"event":"config\.reloaded"[^]*"event":"listening"/,
    );
  });

  it('goes on unchanged when the new configuration is wrong, and logs the lines that `check` prints', async () => {
    await write('a');
    const { url, run } = await start();
    await write('b', 'colour: red');
    process.kill(run.pid, 'SIGHUP');
    const [, problems = ''] = await outputOf(run, /"problems":(\[.*?\]),"event":"config\.refused"/);
    deepEqual([await statusOf(`${url}/a`), await statusOf(`${url}/b`)], [200, 404]);
    const { stderr } = await foregate(['check'], { cwd: folder });
    deepEqual(JSON.parse(problems), stderr.trimEnd().split('\n'));
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`stops at ${signal} and ends with 0`, async () => {
      await write('a');
      const { url, run } = await start();
      process.kill(run.pid, signal);
      equal(await run.ended, 0);
      await fetch(url).then(
        () => ok(false, 'it still answers'),
        () => undefined,
      );
    });
  }

  it('ends at once with 1 at a second signal', async () => {
    // A client that never answers the close frame keeps the first stop busy.
    await write('a', 'log: { level: info }');
    const socketBackend = await echoBackend();
    await writeFile(
      join(folder, 'foregate.yaml'),
      `listen: [{ host: 127.0.0.1 }]\ncontrol: { port: 0 }\ndrain: 1h\nroutes: [{ id: a, target: "http://127.0.0.1:${portOf(socketBackend)}" }]\n`,
    );
    const { url, run } = await start();
    const socket = new WebSocket(url.replace('http', 'ws'));
    try {
      await once(socket, 'open');
      socket.pause();
      process.kill(run.pid, 'SIGTERM');
      await outputOf(run, /"event":"stopping"/);
      process.kill(run.pid, 'SIGTERM');
      equal(await run.ended, 1);
    } finally {
      socket.terminate();
      socketBackend.close();
      socketBackend.closeAllConnections();
    }
  });

  it('names a port that is in use and what to do, and ends with 1', async () => {
    const taken = portOf(backend);
    await write('a');
    const { code, stderr } = await foregate(['run', '--port', String(taken)], { cwd: folder });
    equal(code, 1);
    match(stderr, new RegExp(`^Port ${taken} of 127\\.0\\.0\\.1 is in use\\..*--port 0\\.\n$`));
  });

  it('names its Unix socket in the log', async () => {
    await writeSocket('clients.sock');
    started = startForegate(['run'], { cwd: folder });
    const [, address = ''] = await outputOf(started, /"for":"clients","address":"([^"]+)"/);
    equal(address, `unix:${join(folder, 'clients.sock')}`);
  });

  it('says why there can be no Unix socket', async () => {
    await writeSocket('missing/clients.sock');
    const { code, stderr } = await foregate(['run'], { cwd: folder });
    equal(code, 1);
    match(stderr, /^The socket .*missing\/clients\.sock cannot be made: its folder/);
  });

  it('ends with 2 for a configuration that is wrong or missing', async () => {
    const missing = await foregate(['run'], { cwd: folder });
    equal(missing.code, 2);
    match(missing.stderr, /^foregate\.yaml +was not found/);
    await write('a', 'colour: red');
    const wrong = await foregate(['run'], { cwd: folder });
    deepEqual([wrong.code, wrong.stdout], [2, '']);
    match(wrong.stderr, /colour +is not a known key/);
  });
});

/** Accepts every WebSocket-over-HTTP session and says nothing. */
async function echoBackend(): Promise<Server> {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'Content-Type': 'application/websocket-events' }).end('OPEN\r\n');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

describe('the log of foregate run', () => {
  it('has a line for each connection of a route that wants it, and none of the secrets that went through', async () => {
    const events = await startBackend();
    try {
      const route = {
        id: 'a',
        target: events.origin,
        policies: [{ use: 'api-key', from: { query: 'key' }, keys: [{ name: 'ann', key: 'planted-key-0123456789' }] }],
        log: { connections: true, messages: { sample: 1, bytes: 1000 } },
      };
      const settings = { listen: [{ host: '127.0.0.1' }], control: { port: 0 }, drain: '100ms', routes: [route] };
      await writeFile(join(folder, 'foregate.yaml'), JSON.stringify(settings));
      const { url, run } = await start();
      const headers = { Authorization: 'Bearer planted-bearer', Cookie: 'sid=planted-cookie' };
      const client = await openClient(`${url.replace('http', 'ws')}/chat?key=planted-key-0123456789`, { headers });
      for (const message of ['{"user":{"Password":"planted-password"},"text":"seen"}', 'password=planted-plain'])
        client.send(message);
      await client.next();
      await client.next();
      await client.close();
      await fetch(`${url}/plain?key=planted-key-0123456789`, { method: 'POST', headers, body: 'planted-body' });
      await outputOf(run, /"event":"connection\.closed"/, 2);
      const lines = run
        .output()
        .split('\n')
        .filter((line) => line.includes('"connection.closed"'));
      const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      deepEqual(
        told.map(({ level, transport, path, subject, code, by }) => [level, transport, path, subject, code, by]),
        [
          ['info', 'websocket', '/chat', 'ann', 1005, 'client'],
          ['info', 'request', '/plain', 'ann', undefined, undefined],
        ],
      );
      equal(run.output().split('"event":"message.sampled"').length - 1, 4);
      match(run.output(), /seen/);
      ok(!run.output().includes('planted'), run.output());
    } finally {
      await events.stop();
    }
  });
});
