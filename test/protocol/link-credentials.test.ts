/** What goes with the requests that Foregate makes by itself (GRIP 4.6), where the route lets links carry credentials (`adapter.links`). */
import assert from 'node:assert/strict';
import { reply, startBackend, text, type Backend, type BackendReply, type BackendRequest } from '../support/backend.ts';
import { byPath, setHoldStage, stream, takeAnswer, takeChunk, takeText } from './holds.ts';
import { acceptedWithGrip, clearStage, eventually, gate, isOpening, nothing, onClear, setStage } from './stage.ts';

const page = (uri: string, body = ''): BackendReply => ({ headers: { 'Grip-Link': `<${uri}>; rel=next` }, body });
const credentials = ['apikey', 'authorization', 'cookie', 'x-app-user', 'x-own'];
const sent = ['apikey: k1', 'Authorization: Bearer t', 'Cookie: a=1', 'X-Own: 1', 'X-App-User: admin'];

const service = { use: 'kong', credentials: 'replace', secret: 's1', consumer: 'X-App-User' } as const;

/** A chain of links, and one that is told when a stream ends. */
const answers = byPath({
  '/first': page('next?n=1', 'a'),
  '/next': { body: 'b' },
  '/events': stream('c', { 'Grip-Link': '</next>; rel=next; timeout=60, </gone>; rel=gone' }, 'a'),
});

describe('a link', () => {
  afterEach(clearStage);

  it('carries nothing of the client unless the route says so', async () => {
    const stage = await setHoldStage({ route: { adapter: 'kong' }, answer: answers });
    const socket = await stage.request('/first', { headers: sent });
    await socket.takeHead();
    await takeText(socket, 'ab');
    assert.deepEqual(stage.at('/next?n=1').map(carried), [{}]);
  });

  for (const [what, adapter, expected, query] of [
    ["the client's credential, where gateways look for it", { use: 'kong' }, { apikey: 'k1', authorization: 'Bearer t' }, ''],
    ["the client's credential, as it was moved", { use: 'tyk', from: { header: 'apikey' } }, { authorization: 'k1' }, ''],
    ["the client's credential in the query", { use: 'apigee', from: { header: 'apikey' }, to: { query: 'key' } }, {}, '&key=k1'],
    ["the service's and who the caller is", service, { apikey: 's1', 'x-app-user': 'ann' }, ''],
  ] as const)
    it(`may carry ${what}`, async () => {
      const stage = await setHoldStage({
        route: { adapter: { ...adapter, links: 'credentials' } },
        policy: { connect: (session) => void (session.identity = { subject: 'ann', by: 'of-the-test' }) },
        answer: answers,
      });
      const socket = await stage.request('/first', { headers: sent });
      await socket.takeHead();
      await takeText(socket, 'ab');
      assert.deepEqual(stage.at(`/next?n=1${query}`).map(carried), [expected]);
    });

  it('carries it when it tells of the end of a hold', async () => {
    const stage = await setHoldStage({ route: { adapter: { use: 'kong', links: 'credentials' } }, answer: answers });
    const socket = await stage.request('/events', { headers: sent });
    await socket.takeHead();
    await takeText(socket, 'a');
    await stage.joined('c');
    socket.destroy();
    await stage.backend.until(() => stage.at('/gone').length === 1);
    assert.deepEqual(stage.at('/gone').map(carried), [{ apikey: 'k1', authorization: 'Bearer t' }]);
  });

  it('never carries it to another origin, nor where another origin leads', async () => {
    const other = await startOther(({ path }) => (path === '/there' ? page('/further') : page(`${home}/back`)));
    const home = 'http://client.example';
    const stage = await setHoldStage({
      route: { adapter: { use: 'kong', links: 'credentials' } },
      answer: byPath({ '/first': page(`${other.origin}/there`), '/back': page('/again'), '/again': { body: 'z' } }),
    });
    const socket = await stage.request('/first', { headers: sent });
    await socket.takeHead();
    await takeText(socket, 'z');
    assert.deepEqual(other.requests.map(carried), [{}, {}]);
    assert.deepEqual(stage.at('/back').map(carried), [{}]);
    // This one the target has named itself.
    assert.deepEqual(stage.at('/again').map(carried), [{ apikey: 'k1', authorization: 'Bearer t' }]);
  });

  it('is not shared by clients with different credentials, and is by those with the same', async () => {
    const { passed, open } = gate();
    const stage = await setHoldStage({
      route: { adapter: { use: 'kong', links: 'credentials' } },
      answer: async (request) => {
        if (request.path === '/first') return page('/next');
        await passed;
        return { body: String(request.headers['apikey']) };
      },
    });
    const keys = ['k1', 'k1', 'k2'];
    const sockets = await Promise.all(keys.map((key) => stage.request('/first', { headers: [`apikey: ${key}`] })));
    for (const socket of sockets) await socket.takeHead();
    await eventually(() => stage.at('/next').length === 2);
    open();
    for (const [i, socket] of sockets.entries()) {
      await takeText(socket, keys[i] ?? '');
      assert.equal(await takeChunk(socket), '');
    }
    assert.deepEqual(
      stage
        .at('/next')
        .map(({ headers }) => headers['apikey'])
        .toSorted(byText),
      ['k1', 'k2'],
    );
  });

  it('is not made for a caller whom the policies know no more', async () => {
    const stage = await setHoldStage({
      route: { adapter: { ...service, links: 'credentials' } },
      policy: {
        connect: (session) => void (session.identity = { subject: 'ann', by: 'of-the-test' }),
        held: (session) => void (session.identity = undefined),
      },
      answer: answers,
    });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await stage.joined('c');
    socket.destroy();
    await eventually(async () => (await stage.members('c')) === 0);
    assert.equal((await takeAnswer(await stage.request('/nowhere'))).status, 404);
    assert.deepEqual(stage.at('/gone'), []);
  });

  for (const isElsewhere of [false, true])
    it(`of a subscription inside a socket ${isElsewhere ? 'does not once another origin was asked' : 'carries it as well'}`, async () => {
      const other = await startOther(() => reply([subscription('2', '/items')]));
      const first = isElsewhere ? `${other.origin}/items` : '/items';
      const stage = await setStage({
        route: { adapter: { use: 'kong', links: 'credentials' } },
        answer: (request) => {
          if (isOpening(request)) return acceptedWithGrip([subscription('1', first)]);
          return request.path === '/items' ? reply([text('m:filled'), subscription('5', '/items')]) : nothing;
        },
      });
      const client = await stage.open('/', { headers: { apikey: 'k1', Cookie: 'a=1' } });
      const gap = (id: number) =>
        stage.publish('c', { content: 'later' }, { id: `${id}`, 'prev-id': `${id - 1}`, 'no-seq': true });
      await gap(5);
      if (isElsewhere) {
        await other.until(() => other.requests.length === 1);
        await gap(8);
      }
      assert.equal(await client.nextText(), 'filled');
      const links = stage.backend.requests.filter(({ path }) => path === '/items');
      assert.deepEqual(links.map(carried), [isElsewhere ? {} : { apikey: 'k1' }]);
      assert.deepEqual(other.requests.map(carried), isElsewhere ? [{}] : []);
    });
});

/** A client that has everything up to this id. */
function subscription(id: string, next: string) {
  return text(`c:${JSON.stringify({ type: 'subscribe', channel: 'c', 'prev-id': id, next })}`);
}

async function startOther(answer: (request: BackendRequest) => BackendReply): Promise<Backend> {
  const backend = await startBackend(answer);
  onClear(() => backend.stop());
  return backend;
}

/** What of the client's fields, and of the service's, is in a request. */
function carried({ headers }: BackendRequest): object {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => credentials.includes(name)));
}

function byText(one: unknown, other: unknown): number {
  return String(one).localeCompare(String(other));
}
