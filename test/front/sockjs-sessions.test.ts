import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { routeId } from '../../gateway/core/ids.ts';
import { limits } from '../../gateway/core/limits.ts';
import { noMetrics } from '../../gateway/core/metrics.ts';
import { readSend } from '../../gateway/front/sockjs-body.ts';
import { proofOf, withOrigin } from '../../gateway/front/sockjs-caller.ts';
import { SockJsSessions } from '../../gateway/front/sockjs-sessions.ts';
import type { SocketListener } from '../../gateway/session/client-websocket.ts';
import { ManualClock } from '../../gateway/testing/manual-clock.ts';

const route = routeId('r');
const nobody: SocketListener = {
  received: () => undefined,
  closing: () => undefined,
  closeAnswered: () => undefined,
  violated: () => undefined,
  gone: () => undefined,
};

function over(sessions: SockJsSessions, id: string): void {
  const { polling } = sessions.add(route, id);
  polling.accepted(nobody);
  polling.drop();
}

describe('SockJS sessions by their names', () => {
  it('are those of one route', () => {
    const sessions = new SockJsSessions({ clock: new ManualClock(), metrics: noMetrics });
    const session = sessions.add(route, 'a');
    assert.equal(sessions.find(route, 'a'), session);
    assert.equal(sessions.find(routeId('other'), 'a'), undefined);
    assert.equal(sessions.find(route, 'b'), undefined);
  });

  it('are kept for a while when they are over, as many as there may be', () => {
    const clock = new ManualClock();
    const sessions = new SockJsSessions({ clock, metrics: noMetrics });
    for (let i = 0; i < limits.sockJsEnded; i += 1) over(sessions, String(i));
    over(sessions, 'one too many');
    assert.equal(sessions.find(route, 'one too many'), undefined);
    assert.ok(sessions.find(route, '0') && sessions.find(route, String(limits.sockJsEnded - 1)));
    clock.advance(limits.sockJsAwayMs);
    assert.equal(sessions.find(route, '0'), undefined);
    over(sessions, 'later');
    assert.ok(sessions.find(route, 'later'));
    assert.equal(clock.pending, 1);
  });

  it('are forgotten at once when they were refused', () => {
    const clock = new ManualClock();
    const sessions = new SockJsSessions({ clock, metrics: noMetrics });
    sessions.add(route, 'a').polling.refused();
    assert.equal(sessions.find(route, 'a'), undefined);
    assert.equal(clock.pending, 0);
  });
});

describe('the body of a SockJS client', () => {
  it('is not waited for for ever', async () => {
    const clock = new ManualClock();
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1'); // A TCP server has no other kind of address.
    client.on('error', () => undefined).write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n["a');
    const [request, response] = await once(server, 'request');
    const reading = readSend({ request, response }, 100, clock);
    clock.advance(limits.sockJsSendMs - 1);
    assert.equal(request.destroyed, false);
    clock.advance(1);
    assert.deepEqual(await reading, { kind: 'aborted' });
    assert.equal(clock.pending, 0);
    client.destroy();
    server.close();
  });
});

describe('the proof of a SockJS caller', () => {
  const request = (path: string, ...headers: string[]) => ({ path, headers });

  it('is what policies used up, and nothing else', () => {
    const consumed = [
      { in: 'query', name: 'key' },
      { in: 'cookie', name: 'sid' },
      { in: 'header', name: 'X-Key' },
    ] as const;
    const proof = proofOf(request('/a?key=1&x=2', 'Cookie', 'sid=3; other=4', 'x-key', '5'), consumed);
    assert.equal(proofOf(request('/b?y=7&key=1', 'X-KEY', '5', 'cookie', 'o=1;sid=3', 'Origin', 'x'), consumed), proof);
    assert.notEqual(proofOf(request('/a?key=2', 'Cookie', 'sid=3', 'x-key', '5'), consumed), proof);
    assert.notEqual(proofOf(request('/a?key=1', 'Cookie', 'sid=4', 'x-key', '5'), consumed), proof);
    assert.notEqual(proofOf(request('/a?key=1', 'Cookie', 'sid=3', 'x-key', '6'), consumed), proof);
    assert.notEqual(proofOf(request('/a?key=1&key=2', 'Cookie', 'sid=3', 'x-key', '5'), consumed), proof);
    assert.notEqual(proofOf(request('/a'), consumed), proof);
  });

  it('does not take one place for another', () => {
    const consumed = [
      { in: 'header', name: 'a' },
      { in: 'header', name: 'b' },
    ] as const;
    assert.notEqual(proofOf(request('/', 'a', 'x'), consumed), proofOf(request('/', 'b', 'x'), consumed));
  });
});

describe('the origin of a request that opens a SockJS session', () => {
  it('is that of the referrer where browsers name none', () => {
    assert.deepEqual(withOrigin('GET', ['Referer', 'https://app.example:8443/page?x']), [
      'Referer',
      'https://app.example:8443/page?x',
      'Origin',
      'https://app.example:8443',
    ]);
    for (const headers of [[], ['Referer', ''], ['Referer', 'no url'], ['Referer', 'data:x']])
      assert.equal(withOrigin('GET', headers).at(-1), 'null');
  });

  it('stays what the browser says', () => {
    assert.deepEqual(withOrigin('GET', ['origin', 'https://a', 'Referer', 'https://b/']), [
      'origin',
      'https://a',
      'Referer',
      'https://b/',
    ]);
    assert.deepEqual(withOrigin('POST', ['Referer', 'https://b/']), ['Referer', 'https://b/']);
  });
});
