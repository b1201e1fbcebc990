/** The example with described messages: what compiles and what does not, and a conversation through Foregate by its document. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createBackend } from '../../examples/described-chat/backend.ts';
import { readApiDocument } from '../../openapi/api-document.ts';
import { describedOperations } from '../../openapi/described-operations.ts';
import { messagePolicies } from '../../openapi/messages.ts';
import { clearStage, eventually, onClear, setStage } from '../protocol/stage.ts';
import { freePort } from '../support/processes.ts';

const root = join(import.meta.dirname, '../..');
const example = join(root, 'examples/described-chat');

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
    const document = await readApiDocument(join(example, 'chat.openapi.yaml'));
    const { operations, findings } = describedOperations(document);
    assert.deepEqual(findings, []);
    const [joinRoom] = operations;
    assert.ok(joinRoom);
    const { route, control } = messagePolicies(joinRoom.messages, document);
    const stage = await setStage({
      route: { policies: route },
      targets: [{ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }],
      settings: { control: { host: '127.0.0.1', port: controlPort, policies: control } },
    });
    const client = await stage.open('/rooms/lobby');
    await eventually(async () => (await stage.members('room-lobby')) === 1);
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
    await assert.rejects(stage.say('room-lobby', '{"type":"said","name":"ann"}'), /400 .*required property 'text'/);
    say({ type: 'say', text: '/help' });
    assert.deepEqual(await heard(), { type: 'error', code: 'no-command' });
  });
});
