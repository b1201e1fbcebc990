/**
 * What every request has to be so that a gateway in between lets it through unharmed: on the wire, for each kind of request that Foregate
 * makes. That answers are told from refusals by status and type is shown in `websocket-over-http.test.ts`; which fields of clients do not
 * go on in `request-head.test.ts`; idle connections and what is sent again in `client.test.ts`; credentials with every event in
 * `gateway-credentials.test.ts`; what a refusal becomes in `gateway-fault-actions.test.ts`; holds out of caches in `cached-holds.test.ts`.
 */
import assert from 'node:assert/strict';
import { refusedClient } from '../support/client.ts';
import { eventsReply, httpReply, startBareBackend, type RawBackend, type RawRequest } from './raw-backend.ts';
import { setHoldStage, takeText } from './holds.ts';
import { clearStage, eventually, setStage } from './stage.ts';

/** A client that wants its fields to have an effect at the next hop. */
const hostile = {
  Connection: 'Upgrade, Connection-Id, Grip-Sig, apikey',
  'Connection-Id': 'mine',
  'Meta-User': 'admin',
  X_Consumer_Username: 'admin',
  apikey: 'k1',
};

describe('a request for a gateway', () => {
  afterEach(clearStage);

  it('with events has a length, the type without parameters, and no way to lose a field on the way', async () => {
    const backend = await startBareBackend(({ socket, body }) => socket.write(eventsReply(body, 'Set-Meta-State: s')));
    const stage = await setStage({
      targets: [{ url: backend.origin }],
      route: { adapter: 'kong' },
      settings: { grip: { key: 'k' } },
    });
    const client = await stage.open('/', { headers: hostile });
    client.send('hello');
    assert.equal(await client.nextText(), 'hello');
    const id = fieldOf(backend.requests[0], 'connection-id')[0] ?? '';
    assert.ok(await stage.refresh(id));
    await eventually(() => backend.requests.length === 3);
    for (const request of backend.requests) {
      assertWhole(request);
      assert.deepEqual(fieldOf(request, 'content-length'), [String(request.body.length)]);
      assert.deepEqual(fieldOf(request, 'content-type'), ['application/websocket-events']);
      assert.deepEqual(fieldOf(request, 'connection-id'), [id]);
      assert.equal(fieldOf(request, 'grip-sig').length, 1);
      assert.notEqual(id, 'mine');
    }
    assert.deepEqual(
      backend.requests.map((request) => [request.body.length > 0, fieldOf(request, 'meta-state')]),
      [
        [true, []],
        [true, ['s']],
        [false, ['s']],
      ],
    );
  });

  it('that is plain, or a link, or the last word of a hold is none other', async () => {
    const links = '</next>; rel=next; timeout=60, </gone>; rel=gone';
    const backend = await startBareBackend(({ socket, head }) => {
      const isFirst = head.startsWith('GET /events');
      socket.write(
        isFirst ? httpReply(200, 'a', 'Grip-Hold: stream', 'Grip-Channel: c', `Grip-Link: ${links}`) : httpReply(200, 'b'),
      );
    });
    const stage = await setHoldStage({
      targets: [{ url: backend.origin }],
      route: { adapter: 'kong' },
      settings: { grip: { key: 'k' } },
    });
    const headers = Object.entries(hostile).map(([name, value]) => `${name}: ${value}`);
    const streaming = await stage.request('/events', { headers: headers.slice(1) });
    await streaming.takeHead();
    await takeText(streaming, 'a');
    await stage.joined('c');
    await stage.recover();
    await takeText(streaming, 'b');
    await eventually(() => backend.requests.length === 3);
    await fetch(`${stage.url}/plain`, { method: 'POST', body: 'content', headers: { apikey: 'k1' } });
    for (const request of backend.requests) assertWhole(request);
    const lengths = new Map(backend.requests.map((request) => [pathOf(request), fieldOf(request, 'content-length')]));
    assert.deepEqual([lengths.get('POST /gone'), lengths.get('POST /plain')], [['0'], ['7']]);
  });

  it('that is the handshake of a WebSocket backend is none other', async () => {
    const backend = await startBareBackend(({ socket }) => socket.write(httpReply(403, 'no')));
    const url = backend.origin.replace('http', 'ws');
    const stage = await setStage({ targets: [{ url }], route: { adapter: 'kong' }, settings: { grip: { key: 'k' } } });
    await refusedClient(stage.url.replace('http', 'ws'), { headers: { ...hostile, Connection: 'Upgrade' } });
    for (const request of backend.requests) assertWhole(request);
    assert.equal(backend.requests.length, 1);
  });
});

describe('the body of a refusal', () => {
  afterEach(clearStage);

  for (const action of ['close', 'drop', 'answer'])
    it(`is neither for clients nor for the log in the midst of a session (${action})`, async () => {
      const said: string[] = [];
      const note = (event: string, fields?: object): void => void said.push(event, JSON.stringify(fields));
      const backend = await secretRefusals();
      const stage = await setStage({
        targets: [{ url: backend.origin }],
        route: { adapter: 'kong', onFault: { unauthenticated: action } },
        log: { debug: note, info: note, warn: note, error: note },
      });
      const client = await stage.open();
      client.socket.on('message', (data: Buffer) => void said.push(data.toString()));
      client.send('hello');
      await eventually(() => said.includes('exchange.refused'));
      if (action !== 'close') client.socket.close(1000, '');
      said.push((await client.closed()).reason);
      assert.doesNotMatch(said.join('\n'), /internal-name/);
    });
});

/** Accepts, and then refuses with words that are nobody's business. */
function secretRefusals(): Promise<RawBackend> {
  return startBareBackend(({ socket, body }) => {
    const isOpening = body.toString() === 'OPEN\r\n';
    socket.write(isOpening ? eventsReply(body) : httpReply(401, '{"message":"Unauthorized at internal-name"}'));
  });
}

/** Framed by a length or nothing, and no field of ours, nor of anybody, is one of this hop. */
function assertWhole(request: RawRequest): void {
  assert.deepEqual(fieldOf(request, 'transfer-encoding'), []);
  for (const value of fieldOf(request, 'connection')) assert.match(value, /^(?:keep-alive|close|upgrade)$/i);
  assert.doesNotMatch(request.head, /[^\r]\n/);
  assert.doesNotMatch(request.head, /admin|: mine\r/);
}

/** The values of a field, whatever the spelling of its name. */
function fieldOf(request: RawRequest | undefined, name: string): string[] {
  const lines = (request?.head ?? '').split('\r\n').slice(1);
  return lines.flatMap((line) => {
    const [written = '', ...value] = line.split(': ');
    return written.toLowerCase().replaceAll('_', '-') === name ? [value.join(': ')] : [];
  });
}

function pathOf({ head }: RawRequest): string {
  return head.split(' HTTP/', 1)[0] ?? '';
}
