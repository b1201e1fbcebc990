/** The example with described messages: what compiles and what does not, and a conversation through Foregate by its document. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import jsonwebtoken from 'jsonwebtoken';
import { createBackend } from '../../examples/described-chat/backend.ts';
import { createPublisher } from '../../gateway/backend/express.ts';
import { createForegate, loadText } from '../../gateway/index.ts';
import { clearStage, eventually, onClear } from '../protocol/stage.ts';
import { openClient, refusedClient } from '../support/client.ts';
import { freePort } from '../support/processes.ts';

const root = join(import.meta.dirname, '../..');
const example = join(root, 'examples/described-chat');
const secret = 'a secret of thirty-two bytes or more';

describe('handlers with described types', () => {
  let folder: string;
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'foregate-typed-'))));
  afterEach(() => rm(folder, { recursive: true }));

  /** The faults that the compiler finds: `wrong.ts(3,5): error TS2322`. */
  async function faultsOf(files: Readonly<Record<string, string>>): Promise<string[]> {
    const imports = { allowImportingTsExtensions: true, rewriteRelativeImportExtensions: false };
    const compilerOptions = { ...imports, typeRoots: [join(root, 'node_modules/@types')] };
    const config = { extends: join(root, 'tsconfig.json'), compilerOptions, include: ['*.ts'] };
    const settings = { 'tsconfig.json': JSON.stringify(config), 'package.json': '{"type":"module"}' };
    const all = Object.entries({ ...files, ...settings });
    await Promise.all(all.map(([name, text]) => writeFile(join(folder, name), text)));
    const output = await new Promise<string>((resolve) => {
      const tsc = join(root, 'node_modules/.bin/tsc');
      execFile(tsc, ['--noEmit', '--pretty', 'false', '-p', folder], { cwd: folder }, (_error, stdout) => resolve(stdout));
    });
    return [...output.matchAll(/^(\S+\(\d+),\d+(\): error TS\d+)/gm)].map(([, place, error]) => `${place}${error}`);
  }

  const imports = `import { createPublisher, webSocketEvents } from '${root}/gateway/backend/express.ts';
import type { Operations } from '${example}/messages.ts';
type JoinRoom = Operations['joinRoom'];
`;

  it('compile if they are right, and not if they send something else', async () => {
    const right = `${imports}
export const events = webSocketEvents<string, JoinRoom>({
  message(socket, message) {
    const room: JoinRoom['path']['room'] = 'lobby';
    if (message.type === 'rename') socket.send({ type: 'said', name: message.name, text: room });
    else socket.sendDelayed({ type: 'said', name: 'a', text: message.text, quotes: { name: 'b', text: 'c' } });
  },
});
export const untyped = webSocketEvents({ text: (socket, text) => socket.send(text) });
void createPublisher('http://a').publish('room', { message: 'text' });
void createPublisher<JoinRoom['backend']>('http://a').publish('room', { message: { type: 'error', code: 'a' } });
`;
    const wrong = `${imports}
export const events = webSocketEvents<string, JoinRoom>({
  message(socket, message) {
    socket.send({ type: 'said', name: 'a' });
    socket.send({ type: 'shouted', name: 'a', text: 'b' });
    socket.send({ type: 'said', name: 'a', text: 'b', colour: 'red' });
    socket.send('a text');
    socket.keepAlive({ type: 'error', code: 1 });
    message.name;
    if (message.type === 'leave') return;
  },
});
void createPublisher<JoinRoom['backend']>('http://a').publish('room', { message: { type: 'say', text: 'a' } });
export const untyped = webSocketEvents({ text: (socket) => socket.send({ type: 'said' }) });
`;
    const errors = { 7: 2345, 8: 2322, 9: 2353, 10: 2345, 11: 2322, 12: 2339, 13: 2367, 16: 2322, 17: 2353 };
    assert.deepEqual(
      await faultsOf({ 'right.ts': right, 'wrong.ts': wrong }),
      Object.entries(errors).map(([line, code]) => `wrong.ts(${line}): error TS${code}`),
    );
  }).timeout(60_000);
});

describe('examples/described-chat', () => {
  afterEach(clearStage);

  it('keeps what its document says, on all ways', async () => {
    const controlPort = await freePort();
    const server = createBackend(`http://127.0.0.1:${controlPort}/`).listen(0, '127.0.0.1');
    onClear(() => void server.close());
    await once(server, 'listening');
    const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const settings = {
      listen: [{ host: '127.0.0.1', port: 0 }],
      control: { host: '127.0.0.1', port: controlPort },
      openapi: [{ file: 'chat.openapi.yaml', target, security: { bearerAuth: { secret } } }],
    };
    const foregate = await createForegate(await loadText(JSON.stringify(settings), join(example, 'foregate.yaml')));
    await foregate.start();
    onClear(() => foregate.stop());
    const [url = ''] = foregate.addresses.clients;
    const headers = {
      authorization: `Bearer ${jsonwebtoken.sign({ sub: 'ann' }, secret, { audience: 'chat', expiresIn: 600 })}`,
    };
    const refused = await refusedClient(`${url.replace('http', 'ws')}/rooms/Lobby`, { headers });
    assert.match(refused.body, /path parameter \\"room\\" must match/);
    const client = await openClient(`${url.replace('http', 'ws')}/rooms/lobby`, { headers });
    onClear(() => client.socket.terminate());
    const { control } = foregate.addresses;
    const members = async () => (await fetch(`${control}/connections?channel=room-lobby`)).json() as Promise<unknown[]>;
    await eventually(async () => (await members()).length === 1);
    const say = (message: object): void => client.send(JSON.stringify(message));
    const heard = async (): Promise<unknown> => JSON.parse(await client.nextText());
    say({ type: 'rename', name: 'no name' });
    assert.deepEqual(await heard(), {
      type: 'error',
      code: 'bad-request',
      detail: '/name must match pattern "^[A-Za-z0-9_-]{1,32}$".',
    });
    say({ type: 'rename', name: 'ann' });
    say({ type: 'say', text: 'hello', quotes: { name: 'bob', text: 'well?', quotes: { name: 'ann', text: 'so' } } });
    const quotes = { name: 'bob', text: 'well?', quotes: { name: 'ann', text: 'so' } };
    assert.deepEqual(await heard(), { type: 'said', name: 'ann', text: 'hello', quotes });
    say({ type: 'say', text: 'x', quotes: { name: 'bob', text: 'well?', quotes: { name: 'ann' } } });
    assert.deepEqual(await heard(), {
      type: 'error',
      code: 'bad-request',
      detail: "/quotes/quotes must have required property 'text'.",
    });
    const wrong = createPublisher(control).publish('room-lobby', { message: '{"type":"said","name":"ann"}' });
    await assert.rejects(wrong, /400: The message must have required property 'text'/);
    say({ type: 'say', text: '/help' });
    assert.deepEqual(await heard(), { type: 'error', code: 'no-command' });
  });
});
