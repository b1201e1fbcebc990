/**
 * What clients see of the refusals in `test/fixtures/faults`, over real sockets: a stand-in for the gateway behind answers with
 * their bytes.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { adapters } from '../../adapters/index.ts';
import { expectedFaults, faultFolder, replyOf } from '../adapters/fault-fixtures.ts';
import { refusedClient, type Client } from '../support/client.ts';
import { eventsReply, httpReply, startBareBackend, startRawBackend, type RawBackend } from './raw-backend.ts';
import { clearStage, eventually, setStage, type Stage } from './stage.ts';

/** What an open WebSocket is closed with. */
const closeCodes: Readonly<Record<string, number>> = {
  unauthenticated: 4401,
  forbidden: 4403,
  throttled: 4429,
  quota: 4429,
  'too-large': 1009,
  'no-route': 4404,
  upstream: 1011,
  'not-ours': 1011,
};

/** Of handshakes: names the reply that its client gets. */
const nameField = /^x-reply: (.+)$/im;

describe('a refusal of the gateway behind', () => {
  afterEach(clearStage);

  for (const { name: adapter } of adapters.filter(({ name }) => name !== 'generic')) {
    const own = expectedFaults().filter(({ name }) => name.startsWith(`${adapter}/`));

    it(`${adapter}: is the answer to a handshake as it is, with its status, body and fields`, async () => {
      const stage = await stageBefore(adapter, await refusesHandshakes());
      for (const { name } of own) {
        const sent = replyOf(bytesOf(name));
        const { status, headers, body } = await refusedClient(`${stage.url.replace('http', 'ws')}/`, {
          headers: { 'X-Reply': name },
        });
        assert.deepEqual({ status, body }, { status: sent.status, body: sent.body.toString() }, name);
        for (let i = 0; i < sent.headers.length; i += 2)
          assert.equal(headers[sent.headers[i]?.toLowerCase() ?? ''], sent.headers[i + 1], `${name} ${sent.headers[i]}`);
      }
    });

    it(`${adapter}: closes an open WebSocket with the code of its kind, and is never an event`, async () => {
      const stage = await stageBefore(adapter, await refusesMessages());
      for (const { name, kind } of own) {
        const client = await stage.open();
        let messages = 0;
        client.socket.on('message', () => (messages += 1));
        client.send(name);
        const { code, reason } = await client.closed();
        assert.deepEqual({ code, messages }, { code: closeCodes[kind], messages: 0 }, name);
        assert.match(reason, /^The [a-zA-Z -]+( \d{3})?\.$/, name);
      }
    });
  }

  it('of a key that was revoked ends a silent WebSocket when the backend is asked without an event', async () => {
    const { origin, requests } = await startRawBackend(({ socket }) => socket.write(bytesOf('kong/bad-key')));
    const stage = await setStage({ targets: [{ url: origin }], route: { adapter: 'kong' } });
    const client = await stage.open();
    assert.ok(await stage.refresh(/^connection-id: (.+)$/im.exec(requests[0]?.head ?? '')?.[1] ?? ''));
    assert.equal((await client.closed()).code, 4401);
    assert.equal(requests[1]?.body.length, 0);
  });

  it('of a quota can be told in a frame, with the wait that stands in its sentence, and the WebSocket goes on', async () => {
    const stage = await stageBefore('azure', await refusesMessages(), { onFault: { quota: 'answer' } });
    const client = await stage.open();
    client.send('azure/quota-in-words');
    assert.deepEqual(JSON.parse(await client.nextText()), {
      type: 'error',
      code: 'rate-limited',
      detail: 'The quota at the gateway is used up.',
      retryAfterMs: 1_802_000,
    });
    client.send('hello');
    assert.equal(await client.nextText(), 'hello');
    client.send('azure/rate');
    assert.equal((await client.closed()).code, 4429);
  });

  it('can be told in the words of the route, with kind, code, sentence and wait', async () => {
    const faultText = '{"op":"error","why":"{kind}","code":"{code}","text":"{detail}","after":{wait}}';
    const stage = await stageBefore('azure', await refusesMessages(), { onFault: { throttled: 'answer' }, faultText });
    const client = await stage.open();
    client.send('azure/rate');
    assert.deepEqual(JSON.parse(await client.nextText()), {
      op: 'error',
      why: 'throttled',
      code: 'rate-limited',
      text: 'The gateway has seen too many requests.',
      after: 26,
    });
  });

  it('can wait: the request is made again, once, and what came meanwhile keeps its order', async () => {
    const { backend, client } = await delayed('kong/rate-limit-hidden-fields');
    client.send('one');
    await eventually(() => backend.requests.length === 2);
    client.send('two');
    assert.deepEqual([await client.nextText(), await client.nextText()], ['one', 'two']);
    assert.deepEqual(
      backend.requests.map(({ body }) => body.toString()),
      ['OPEN\r\n', 'TEXT 3\r\none\r\n', 'TEXT 3\r\none\r\n', 'TEXT 3\r\ntwo\r\n'],
    );
  });

  it('waits no longer than for the close of the client: what waits is tried once more, with the close behind it', async () => {
    const { backend, client } = await delayed('kong/rate-limit');
    client.send('one');
    await eventually(() => backend.requests.length === 2);
    client.socket.close(4000, 'bye');
    await eventually(() => backend.requests.length === 4);
    assert.deepEqual(
      backend.requests.slice(2).map(({ body }) => body.toString().split('\r\n', 1)[0]),
      ['TEXT 3', 'CLOSE 5'],
    );
  });

  it('does not wait for a client that is gone: the backend hears of it at once', async () => {
    const { backend, client } = await delayed('kong/rate-limit');
    client.send('one');
    await eventually(() => backend.requests.length === 2);
    client.socket.terminate();
    await eventually(() => backend.requests.length === 3);
    assert.equal(backend.requests[2]?.body.toString(), 'DISCONNECT\r\n');
  });

  it('waits as often as the route has it, and then closes', async () => {
    const backend = await startRawBackend(({ socket }) => socket.write(bytesOf('kong/rate-limit-hidden-fields')));
    const client = await (await stageBefore('kong', backend, { ...waits, faultDelay: { usual: '1ms', tries: 2 } })).open();
    client.send('one');
    assert.equal((await client.closed(8000)).code, 4429);
    assert.equal(backend.requests.length, 4);
  }).timeout(10_000);

  it('of what may have arrived is made again only for a backend that knows it by its key', async () => {
    let times = 0;
    const backend = await startRawBackend(({ socket, body }) =>
      socket.write((times += 1) === 1 ? bytesOf('kong/upstream-slow') : eventsReply(body)),
    );
    const targets = [{ url: backend.origin, retry: 'idempotent' }];
    const route = { adapter: 'kong', onFault: { upstream: 'delay' }, faultDelay: { usual: '1ms' } };
    const client = await (await setStage({ targets, route })).open();
    client.send('one');
    assert.equal(await client.nextText(), 'one');
    const keys = backend.requests.map(({ head }) => /^idempotency-key: (.+)$/im.exec(head)?.[1]);
    assert.deepEqual(keys[1], keys[2]);
    assert.notEqual(keys[0], keys[1]);
  });

  it('does not wait where it may be the backend that answered, or the gateway says to wait for too long', async () => {
    const ofTheBackend = httpReply(429, '{"message":"Slow down"}', 'Retry-After: 1', 'X-Kong-Upstream-Latency: 2');
    for (const reply of [ofTheBackend, bytesOf('kong/rate-limit-of-a-day')]) {
      const backend = await startRawBackend(({ socket }) => socket.write(reply));
      const client = await (await stageBefore('kong', backend, waits)).open();
      client.send('one');
      assert.equal((await client.closed()).code, 4429);
      assert.equal(backend.requests.length, 2);
    }
  });

  it('comes at the second message as well as at the first', async () => {
    const stage = await stageBefore('tyk', await refusesMessages());
    const client = await stage.open();
    client.send('hello');
    assert.equal(await client.nextText(), 'hello');
    client.send('tyk/rate-limit');
    assert.equal((await client.closed()).code, 4429);
  });

  for (const [what, name, isFailure] of [
    ['that is a limit is no failure of the target, whatever its status is', 'apigee/microgateway-spike-arrest', false],
    ['that is about the backend is one', 'apigee/target-down', true],
  ] as const) {
    it(what, async () => {
      const circuits: string[] = [];
      const note = (event: string): void => void (event === 'circuit.changed' && circuits.push(event));
      const { origin } = await refusesMessages();
      const client = await (
        await setStage({
          targets: [{ url: origin, breaker: { minimum: 4, openFor: '1h' } }],
          route: { adapter: 'apigee', onFault: { throttled: 'answer', upstream: 'answer' } },
          log: { debug: note, info: note, warn: note, error: note },
        })
      ).open();
      for (let i = 0; i < 3; i += 1) {
        client.send(name);
        await client.nextText();
      }
      assert.equal(circuits.length, isFailure ? 1 : 0);
    });
  }

  it('has its challenge under the name that clients know, where the gateway renamed it', async () => {
    const { origin } = await startBareBackend(({ socket }) =>
      socket.write(httpReply(401, '{"message":"Unauthorized"}', 'x-amzn-Remapped-WWW-Authenticate: Bearer realm="chat"')),
    );
    const { url } = await setStage({ targets: [{ url: origin }], route: { adapter: 'aws' } });
    const { status, headers } = await refusedClient(url.replace('http', 'ws'));
    assert.deepEqual([status, headers['www-authenticate']], [401, 'Bearer realm="chat"']);
    assert.equal(headers['x-amzn-remapped-www-authenticate'], undefined);
  });

  it('is in the log with the name of the gateway that said it', async () => {
    const told: unknown[] = [];
    const note = (event: string, fields?: object): void => void (event === 'exchange.refused' && told.push({ ...fields }));
    const log = { debug: note, info: note, warn: note, error: note };
    const { origin } = await refusesMessages();
    const stage = await setStage({ targets: [{ url: origin }], route: { adapter: 'kong' }, log });
    for (const name of ['kong/bad-key', 'kong/of-the-backend-401']) {
      const client = await stage.open();
      client.send(name);
      await client.closed();
    }
    assert.deepEqual(
      told.map((fields) => (fields as { by?: unknown }).by),
      ['kong', 'unknown'],
    );
  });
});

describe('fields with which the gateway behind vouches for a caller', () => {
  afterEach(clearStage);

  for (const { name, identityHeaders } of adapters.filter(({ identityHeaders: names }) => names.length > 0)) {
    it(`${name}: are taken from no client, in no spelling, whatever \`stripHeaders\` says`, async () => {
      const { backend, open } = await setStage({ route: { adapter: name }, settings: { stripHeaders: [] } });
      const names = identityHeaders.map((one) => one.replace('*', 'id'));
      const forged = names.flatMap((one) => [one.toUpperCase(), one.replaceAll('-', '_')]);
      await open('/', { headers: { 'X-Honest': '1', ...Object.fromEntries(forged.map((one) => [one, 'admin'])) } });
      const { headers } = backend.requests[0] ?? assert.fail('The backend got nothing.');
      assert.equal(headers['x-honest'], '1');
      assert.deepEqual(
        Object.entries(headers).filter(([, value]) => value === 'admin'),
        [],
      );
    });
  }
});

function bytesOf(name: string): Buffer {
  return readFileSync(join(faultFolder, `${name}.http`));
}

/** Every handshake gets the reply it names. */
async function refusesHandshakes(): Promise<RawBackend> {
  return startBareBackend(({ head, socket }) => socket.write(bytesOf(nameField.exec(head)?.[1] ?? '')));
}

/** A message that names a reply gets it, any other is sent back. */
async function refusesMessages(): Promise<RawBackend> {
  return startRawBackend(({ body, socket }) => {
    const text = /^TEXT [0-9a-f]+\r\n(.*)\r\n$/s.exec(body.toString())?.[1] ?? '';
    socket.write(text.includes('/') ? bytesOf(text) : eventsReply(body));
  });
}

const waits = { onFault: { throttled: 'delay', quota: 'delay' } };

/** A gateway that refuses the first message, and a client whose route waits. */
async function delayed(name: string): Promise<{ readonly backend: RawBackend; readonly client: Client }> {
  let times = 0;
  const backend = await startRawBackend(({ socket, body }) =>
    socket.write((times += 1) === 1 ? bytesOf(name) : eventsReply(body)),
  );
  const stage = await stageBefore('kong', backend, { ...waits, faultDelay: { usual: '1ms' } });
  return { backend, client: await stage.open() };
}

async function stageBefore(adapter: string, { origin }: RawBackend, route: object = {}): Promise<Stage> {
  return setStage({ targets: [{ url: origin }], route: { adapter, ...route } });
}
