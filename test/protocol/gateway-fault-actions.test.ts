/** Each kind of refusal with each thing that a route may do about it (`onFault`), over real sockets. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { faultFolder } from '../adapters/fault-fixtures.ts';
import { eventsReply, startRawBackend, type RawBackend } from './raw-backend.ts';
import { clearStage, eventually, setStage } from './stage.ts';

/** A refusal of a gateway for each kind, without a wait of its own, its code of the table of errors, and the close code of that. */
const refusals = {
  unauthenticated: ['kong/bad-key', 'unauthorized', 4401],
  forbidden: ['kong/acl', 'forbidden', 4403],
  throttled: ['kong/rate-limit-hidden-fields', 'rate-limited', 4429],
  quota: ['apigee/quota', 'rate-limited', 4429],
  'too-large': ['kong/too-large', 'message-too-large', 1009],
  'no-route': ['kong/no-route', 'no-route', 4404],
  upstream: ['kong/upstream-slow', 'downstream-fault', 1011],
  'not-ours': ['kong/captive-page', 'bad-reply', 1011],
} as const;

type Kind = keyof typeof refusals;
const kinds = Object.keys(refusals) as Kind[]; // Object.keys forgets which keys they are.

/** A wait may help with these. */
const delayed: readonly Kind[] = ['throttled', 'quota', 'upstream'];

describe('a refusal in the midst of a session', () => {
  afterEach(clearStage);

  for (const kind of kinds) {
    const [name, error, closeCode] = refusals[kind];

    it(`${kind}: closes with ${closeCode}`, async () => {
      const { client, backend } = await refusedOnce(name, { [kind]: 'close' });
      client.send('one');
      assert.equal((await client.closed()).code, closeCode);
      assert.deepEqual(texts(backend), ['one']);
    });

    it(`${kind}: drops the message, and the next one passes`, async () => {
      const { client, backend } = await refusedOnce(name, { [kind]: 'drop' });
      client.send('one');
      await eventually(() => texts(backend).length === 1);
      client.send('two');
      assert.equal(await client.nextText(), 'two');
      assert.deepEqual(texts(backend), ['one', 'two']);
    });

    it(`${kind}: is answered with ${error}, and the next message passes`, async () => {
      const { client, backend } = await refusedOnce(name, { [kind]: 'answer' });
      client.send('one');
      const told: unknown = JSON.parse(await client.nextText());
      assert.ok(typeof told === 'object' && told !== null && 'code' in told);
      assert.equal(told.code, error);
      client.send('two');
      assert.equal(await client.nextText(), 'two');
      assert.deepEqual(texts(backend), ['one', 'two']);
    });
  }

  for (const kind of delayed) {
    it(`${kind}: delays the message, which passes in the end`, async () => {
      const { client, backend } = await refusedOnce(refusals[kind][0], { [kind]: 'delay' });
      client.send('one');
      assert.equal(await client.nextText(), 'one');
      assert.deepEqual(texts(backend), ['one', 'one']);
    });
  }

  for (const kind of kinds.filter((one) => !delayed.includes(one)))
    it(`${kind}: cannot be delayed`, async () => {
      await assert.rejects(refusedOnce(refusals[kind][0], { [kind]: 'delay' }), /onFault/);
    });
});

/** A gateway that refuses the first message so, and a client whose route has these rules. */
async function refusedOnce(name: string, onFault: object) {
  let isRefused = false;
  const backend = await startRawBackend(({ socket, body }) => {
    socket.write(isRefused ? eventsReply(body) : readFileSync(join(faultFolder, `${name}.http`)));
    isRefused = true;
  });
  const targets = [{ url: backend.origin, retry: 'idempotent' }];
  const stage = await setStage({ targets, route: { adapter: name.split('/', 1)[0], onFault, faultDelay: { usual: '1ms' } } });
  return { client: await stage.open(), backend };
}

/** Of all messages that came, in their order. */
function texts({ requests }: RawBackend): string[] {
  return requests.flatMap(({ body }) =>
    [...body.toString().matchAll(/^TEXT [0-9a-f]+\r\n(.*)\r$/gm)].map(([, text = '']) => text),
  );
}
