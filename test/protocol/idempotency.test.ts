/** Requests that may be sent again since the backend knows them by their key (`retry: idempotent`), over real sockets. */
import assert from 'node:assert/strict';
import { echo, text } from '../support/backend.ts';
import { afterOpen, clearStage, said, setStage, type Stage } from './stage.ts';

afterEach(clearStage);

function keys(stage: Stage): unknown[] {
  return stage.backend.requests.map(({ headers }) => headers['idempotency-key']);
}

describe('a target with retry: idempotent', () => {
  it('gets a key with each request of a session, and the same one when a request was cut off in its midst', async () => {
    let cut = 0;
    const stage = await setStage({
      target: { retry: 'idempotent' },
      answer: afterOpen((request) => {
        if (said(request.events).includes('TEXT cut') && (cut += 1) < 3) {
          // The head is out: to the gateway in between the request has begun to be answered.
          request.response.writeHead(200, { 'Content-Type': 'application/websocket-events', 'Content-Length': '1000' });
          request.response.write('TEXT', () => request.response.destroy());
          return undefined;
        }
        return echo(request);
      }),
    });
    const client = await stage.open();
    for (const data of ['one', 'cut', 'two']) {
      client.send(data);
      assert.equal(await client.nextText(9000), data);
    }
    const id = String(stage.backend.requests[0]?.headers['connection-id']);
    assert.deepEqual(
      keys(stage),
      [1, 2, 3, 3, 3, 4].map((number) => `${id}-${number}`),
    );
    const bodies = stage.backend.requests.filter((_, i) => i >= 2 && i <= 4).map(({ events }) => said(events));
    assert.deepEqual(bodies, [['TEXT cut'], ['TEXT cut'], ['TEXT cut']]);
  }).timeout(20_000);

  it("does not get a client's own key, which would be the same for all", async () => {
    const stage = await setStage({ target: { retry: 'idempotent' } });
    const client = await stage.open('/', { headers: { 'Idempotency-Key': 'mine' } });
    client.send('x');
    await client.next();
    assert.ok(
      keys(stage).every((key) => /^[0-9a-f-]{36}-[12]$/.test(String(key))),
      String(keys(stage)),
    );
    assert.equal(new Set(keys(stage)).size, 2);
  });
});

describe('a target without it', () => {
  it("gets no key but the client's own, and nothing that was cut off is sent again", async () => {
    const stage = await setStage({
      answer: afterOpen(({ response }) => void response.destroy()),
    });
    const client = await stage.open('/', { headers: { 'Idempotency-Key': 'mine' } });
    client.send(text('x').data);
    assert.equal((await client.closed()).code, 1011);
    assert.equal(keys(stage)[0], 'mine');
    assert.ok(stage.backend.requests.length <= 3); // The stale connection may be tried once more, and no DISCONNECT follows.
  });
});
