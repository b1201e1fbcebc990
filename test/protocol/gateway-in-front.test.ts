/** GRIP 8.5: a gateway in front that proves itself with its `Grip-Sig`, and everybody who only pretends to be one. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import jsonwebtoken from 'jsonwebtoken';
import { WebSocketServer } from 'ws';
import { header } from '../../gateway/core/headers.ts';
import type { Log } from '../../gateway/core/log.ts';
import { held, requestText, takeAnswer } from './holds.ts';
import {
  acceptedWithGrip,
  clearStage,
  eventually,
  nothing,
  onClear,
  said,
  setStage,
  type Stage,
  type StageTerms,
} from './stage.ts';

afterEach(clearStage);

const key = 'the key of the gateway in front';
const own = 'the key of this gateway';
const settings = { grip: { issuer: 'inner', key: own, upstreamKey: key } };
const inAnHour = (): number => Math.floor(Date.now() / 1000) + 3600;
const token = (): string => jsonwebtoken.sign({ iss: 'outer', exp: inAnHour() }, key);

const set = (terms: StageTerms = {}): Promise<Stage> => setStage({ ...terms, settings: { ...settings, ...terms.settings } });

async function ask({ connect }: Stage, headers: readonly string[], more: { method?: string; body?: string } = {}) {
  const socket = await connect();
  socket.send(requestText('/a', { headers, ...more }));
  return takeAnswer(socket);
}

/** Whether the gateway is believed: only then does what it says of GRIP reach the backend. */
async function believed(stage: Stage, ...headers: readonly string[]): Promise<boolean> {
  const { requests } = stage.backend;
  const before = requests.length;
  assert.equal((await ask(stage, [...headers, 'Grip-Of-Outer: 1'])).status, 200);
  return requests[before]?.headers['grip-of-outer'] === '1';
}

describe('a plain request of a gateway in front (GRIP 8.5)', () => {
  it('keeps what it says of GRIP, and gets no signature of ours', async () => {
    const stage = await set({ answer: () => ({ body: 'x' }) });
    const signature = token();
    const fields = ['Grip-Last: c; last-id=1', 'Grip-Feature: status', 'Meta-User: u', 'Accept-Encoding: br'];
    await ask(stage, [`Grip-Sig: ${signature}`, ...fields]);
    const { rawHeaders, headers } = stage.backend.requests[0] ?? assert.fail();
    assert.equal(headers['grip-sig'], signature);
    for (const one of fields) assert.equal(header(rawHeaders, one.split(':')[0]?.toLowerCase() ?? ''), one.split(': ')[1]);
  });

  it('is not held here: the reply goes back with its instructions', async () => {
    const stage = await set({ answer: () => held('c', { 'Grip-Set-Meta': 'a=b' }) });
    const { status, headers, body } = await ask(stage, [`Grip-Sig: ${token()}`]);
    assert.deepEqual([status, body], [200, 'nothing\n']);
    assert.deepEqual(
      ['grip-hold', 'grip-channel', 'grip-set-meta'].map((name) => headers.get(name)),
      ['response', 'c', 'a=b'],
    );
    const document = JSON.stringify({ hold: { mode: 'stream', channels: [{ name: 'c' }] } });
    stage.backend.answer = () => ({ headers: { 'Content-Type': 'application/grip-instruct' }, body: document });
    assert.equal((await ask(stage, [`Grip-Sig: ${token()}`])).body, document);
    assert.equal(await stage.members('c'), 0);
  });

  it('may be one of events, which are carried as they are', async () => {
    const reply = { 'Content-Type': 'application/websocket-events', 'Set-Meta-User': 'u', 'Keep-Alive-Interval': '60' };
    const stage = await set({
      answer: () => ({
        headers: { ...reply, 'Sec-WebSocket-Extensions': 'grip', 'Content-Bytes-Accepted': '2' },
        body: 'OPEN\r\n',
      }),
    });
    const fields = ['Connection-Id: of-outer', 'Sec-WebSocket-Extensions: grip', 'Meta-A: b', 'Content-Bytes-Replayed: 2'];
    const more = { method: 'POST', body: 'OPEN\r\n' };
    const { status, headers, body } = await ask(
      stage,
      [`Grip-Sig: ${token()}`, 'Content-Type: application/websocket-events', ...fields],
      more,
    );
    assert.deepEqual([status, body], [200, 'OPEN\r\n']);
    for (const name of ['set-meta-user', 'keep-alive-interval', 'sec-websocket-extensions', 'content-bytes-accepted'])
      assert.ok(headers.has(name), name);
    const request = stage.backend.requests[0] ?? assert.fail();
    assert.equal(request.body.toString(), 'OPEN\r\n');
    for (const one of fields)
      assert.equal(header(request.rawHeaders, one.split(':')[0]?.toLowerCase() ?? ''), one.split(': ')[1]);
  });

  it('has a chain of its own, which goes on unless forwarded.forSigned says more', async () => {
    const came = ['X-Forwarded-For: 1.1.1.1, 2.2.2.2', 'X-Forwarded-Proto: https'];
    const seen = async (more: object): Promise<(string | undefined)[]> => {
      const stage = await set({ answer: () => ({ body: 'x' }), settings: more });
      await ask(stage, [`Grip-Sig: ${token()}`, ...came]);
      await ask(stage, came);
      return stage.backend.requests.map(({ rawHeaders }) => header(rawHeaders, 'x-forwarded-for'));
    };
    assert.deepEqual(await seen({}), ['1.1.1.1, 2.2.2.2, 127.0.0.1', '127.0.0.1']);
    const forwarded = { for: { keep: 0 }, forSigned: { keep: 1, append: false } };
    assert.deepEqual(await seen({ forwarded }), ['2.2.2.2', '127.0.0.1']);
    assert.deepEqual(await seen({ forwarded: { for: {} }, trustedProxies: ['10.0.0.0/8'] }), [
      '1.1.1.1, 2.2.2.2, 127.0.0.1',
      '127.0.0.1',
    ]);
  });

  it('is one over TLS if it says so and that counts, also where only trustedProxies are believed', async () => {
    const forwarded = { acceptProto: true };
    const stage = await set({
      answer: () => ({ body: 'x' }),
      route: { match: { tls: true } },
      settings: { forwarded, trustedProxies: ['10.0.0.0/8'] },
    });
    assert.equal((await ask(stage, [`Grip-Sig: ${token()}`, 'X-Forwarded-Proto: https'])).status, 200);
    assert.equal((await ask(stage, ['X-Forwarded-Proto: https'])).status, 404);
  });

  it('gets no further with a route that does without GRIP', async () => {
    const stage = await set({ answer: () => held('c'), route: { grip: false } });
    assert.ok(await believed(stage, `Grip-Sig: ${token()}`));
    assert.equal(await believed(stage), false);
  });
});

describe('a WebSocket of a gateway in front (GRIP 8.5)', () => {
  const handshake = { 'Grip-Sig': '', 'Grip-Of-Outer': '1' };
  const trusted = (more: object = {}) => ({ headers: { ...handshake, 'Grip-Sig': token(), ...more } });
  const control = 'c:{"type":"subscribe","channel":"c"}';

  it('speaks with its backend about GRIP itself', async () => {
    const { backend, open, members } = await set({ target: { channels: ['implicit'] } });
    backend.answer = ({ events }) =>
      events[0]?.kind === 'open' ? acceptedWithGrip([{ kind: 'text', data: Buffer.from(control) }]) : nothing;
    const terms = trusted();
    const client = await open('/', terms);
    assert.equal(await client.nextText(), control);
    client.send('x');
    await backend.until(() => said(backend.events()).includes('TEXT x'));
    for (const { headers } of backend.requests) {
      assert.equal(headers['grip-sig'], terms.headers['Grip-Sig']);
      assert.equal(headers['grip-of-outer'], '1');
      assert.equal(headers['grip-feature'], undefined);
      assert.equal(headers['sec-websocket-extensions'], undefined);
    }
    assert.equal((await members('c')) + (await members('implicit')), 0);
  });

  for (const dialect of ['websocket-over-http', 'relay'] as const) {
    it(`is told that the backend took its offer of GRIP: ${dialect}`, async () => {
      const stage = await set(dialect === 'relay' ? { targets: [{ url: await relayed() }] } : {});
      const { backend } = stage;
      backend.answer = () => acceptedWithGrip([], { 'Sec-WebSocket-Extensions': 'grip; message-prefix="q:"' });
      const offers = ['Sec-WebSocket-Extensions: permessage-deflate, grip; message-prefix="m:"'];
      const answer = await (await stage.connect()).handshake({ headers: [`Grip-Sig: ${token()}`, ...offers] });
      assert.equal(answer.headers.get('sec-websocket-extensions'), 'grip; message-prefix="q:"');
      if (dialect !== 'relay') assert.equal(backend.requests[0]?.headers['sec-websocket-extensions'], 'grip');
      const untrusted = await (await stage.connect()).handshake({ headers: offers });
      assert.equal(untrusted.headers.get('sec-websocket-extensions'), undefined);
    });
  }

  async function relayed(): Promise<string> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    server.on('headers', (lines: string[], request: IncomingMessage) => {
      if (request.headers['sec-websocket-extensions'] === 'grip')
        lines.push('Sec-WebSocket-Extensions: grip; message-prefix="q:"');
    });
    await once(server, 'listening');
    onClear(() => {
      for (const client of server.clients) client.terminate();
      server.close();
    });
    return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`; // A TCP server has no other kind of address.
  }
});

describe('two gateways in a row', () => {
  /** The outer one signs with the key that the inner one knows. */
  async function chain(answer: StageTerms['answer'], target: object = {}): Promise<{ inner: Stage; outer: Stage }> {
    const inner = await set(answer === undefined ? {} : { answer });
    const outer = await setStage({ settings: { grip: { issuer: 'outer', key } }, targets: [{ url: inner.url, ...target }] });
    return { inner, outer };
  }

  it('hold and publish at the outer one', async () => {
    const { inner, outer } = await chain(() => held('c'));
    const socket = await outer.connect();
    socket.send(requestText('/'));
    await eventually(async () => (await outer.members('c')) === 1);
    assert.equal(await inner.members('c'), 0);
    const item = { channel: 'c', formats: { 'http-response': { body: 'published' } } };
    await fetch(`${outer.controlUrl}/publish/`, { method: 'POST', body: JSON.stringify({ items: [item] }) });
    assert.equal((await takeAnswer(socket)).body, 'published');
  });

  for (const dialect of ['websocket-over-http', 'relay']) {
    it(`join channels at the outer one: ${dialect}`, async () => {
      const join = Buffer.from('c:{"type":"subscribe","channel":"c"}');
      const { inner, outer } = await chain(
        ({ events }) => (events[0]?.kind === 'open' ? acceptedWithGrip([{ kind: 'text', data: join }]) : nothing),
        { dialect },
      );
      const client = await outer.open();
      await eventually(async () => (await outer.members('c')) === 1);
      assert.equal(await inner.members('c'), 0);
      await outer.say('c', 'hello');
      assert.equal(await client.nextText(), 'hello');
    });
  }
});

describe('a signature that does not fit', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const publicPem = rsa.publicKey.export({ type: 'spki', format: 'pem' });
  const exp = inAnHour();
  const unsigned = `${Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')}.${Buffer.from(JSON.stringify({ exp })).toString('base64url')}.`;
  const hostile: readonly (readonly [name: string, upstreamKey: string, fields: readonly string[]])[] = [
    ['of another key', key, [jsonwebtoken.sign({ exp }, `${key}!`)]],
    ['of our own key', key, [jsonwebtoken.sign({ exp }, own)]],
    ['that has expired', key, [jsonwebtoken.sign({ exp: exp - 3605 }, key)]],
    ['that never expires', key, [jsonwebtoken.sign({ iss: 'outer' }, key)]],
    ['that is not valid yet', key, [jsonwebtoken.sign({ exp, nbf: exp - 60 }, key)]],
    ['whose time is no number', key, [jsonwebtoken.sign(JSON.stringify({ exp: 'later' }), key)]],
    ['without algorithm', key, [unsigned]],
    ['by a longer algorithm', key, [jsonwebtoken.sign({ exp }, key, { algorithm: 'HS512' })]],
    ['that takes the public key for a secret', publicPem, [forgedWith(publicPem)]],
    ['that is none', key, ['x', '', '..', 'a.b.c', `${'a'.repeat(4000)}.b.c`, '\xff']],
  ];

  /** The library itself refuses to sign so. */
  function forgedWith(pem: string): string {
    return jsonwebtoken.sign({ exp }, Buffer.from(pem), { algorithm: 'HS256' });
  }

  for (const [name, upstreamKey, tokens] of hostile) {
    it(`is one of a client: ${name}`, async () => {
      const stage = await setStage({ answer: () => ({ body: 'x' }), settings: { grip: { upstreamKey } } });
      for (const one of tokens) assert.equal(await believed(stage, `Grip-Sig: ${one}`), false, one.slice(0, 40));
    });
  }

  it('is one of a client: twice', async () => {
    const stage = await set({ answer: () => ({ body: 'x' }) });
    assert.equal(await believed(stage, `Grip-Sig: ${token()}`, `Grip-Sig: ${token()}`), false);
    assert.equal(await believed(stage, 'Grip-Sig: x', `Grip-Sig: ${token()}`), false);
  });

  it('is one of a client: too long, though it fits', async () => {
    const stage = await set({ answer: () => ({ body: 'x' }) });
    const padded = jsonwebtoken.sign({ exp, pad: 'x'.repeat(8000) }, key);
    assert.equal(await believed(stage, `Grip-Sig: ${padded}`), false);
  });

  it('of a megabyte is refused with all else that is too long', async () => {
    const stage = await set({ answer: () => ({ body: 'x' }) });
    assert.equal((await ask(stage, [`Grip-Sig: ${'a'.repeat(1_000_000)}`])).status, 431);
    assert.equal((await ask(stage, [])).status, 200);
  });

  it('opens no door to events', async () => {
    const stage = await set();
    const headers = ['Content-Type: application/websocket-events', `Grip-Sig: ${jsonwebtoken.sign({ exp }, own)}`];
    assert.equal((await ask(stage, headers, { method: 'POST', body: 'OPEN\r\n' })).status, 403);
  });

  it('counts for nothing without a key', async () => {
    const stage = await setStage({ answer: () => ({ body: 'x' }) });
    assert.equal(await believed(stage, `Grip-Sig: ${token()}`), false);
  });

  it('stands in no log', async () => {
    const written: unknown[] = [];
    const write = (...args: unknown[]): void => void written.push(args);
    const log: Log = { error: write, warn: write, info: write, debug: write };
    const stage = await set({ answer: () => ({ status: 500 }), log });
    for (const one of [token(), 'forged']) await ask(stage, [`Grip-Sig: ${one}`]);
    assert.doesNotMatch(JSON.stringify(written), /eyJ|forged/);
  });
});

describe('grip.upstreamKey', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = (one: typeof rsa.publicKey): string => one.export({ type: 'spki', format: 'pem' });
  const forms: readonly (readonly [name: string, upstreamKey: string, sign: () => string])[] = [
    ['base64', `base64:${Buffer.from(key).toString('base64')}`, token],
    ['an RSA key', pem(rsa.publicKey), () => jsonwebtoken.sign({ exp: inAnHour() }, rsa.privateKey, { algorithm: 'RS256' })],
    ['a P-256 key', pem(p256.publicKey), () => jsonwebtoken.sign({ exp: inAnHour() }, p256.privateKey, { algorithm: 'ES256' })],
  ];
  for (const [name, upstreamKey, sign] of forms) {
    it(`may be ${name}`, async () => {
      const stage = await setStage({ answer: () => ({ body: 'x' }), settings: { grip: { upstreamKey } } });
      assert.ok(await believed(stage, `Grip-Sig: ${sign()}`));
      assert.equal(await believed(stage, `Grip-Sig: ${name === 'base64' ? 'x' : token()}`), false);
    });
  }
});
