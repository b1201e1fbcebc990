/** `POST /recover/` (GRIP 6.1). */
import assert from 'node:assert/strict';
import type { Server } from 'node:http';
import { documentedCalls, faultyCalls } from './documented-calls.ts';
import { controlParts, FakeHost, listen, plainServer } from './fake-host.ts';

describe('POST /recover/', () => {
  let host: FakeHost;
  let server: Server;

  beforeEach(async () => {
    host = new FakeHost();
    server = plainServer(controlParts(host, { auth: { bearer: ['k'] } }));
    await listen(server);
  });

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const call = (path: string) => documentedCalls(server).post(path).set('Authorization', 'Bearer k');
  const faultyCall = (path: string, method: 'post' | 'get' = 'post') =>
    faultyCalls(server)[method](path).set('Authorization', 'Bearer k');

  for (const path of ['/recover/', '/recover']) {
    it(`answers ${path} with one line of text, and tells the host once`, async () => {
      const answer = await call(path);
      assert.deepEqual([answer.status, answer.text, answer.headers['content-type']], [200, 'Updated\n', 'text/plain']);
      assert.equal(host.recovered, 1);
    });
  }

  it('answers in JSON where that is preferred, and does not look at a body', async () => {
    const answer = await faultyCall('/recover/').set('Accept', 'application/json').send('no JSON');
    assert.deepEqual([answer.status, answer.text], [200, '{"message":"Updated"}\n']);
  });

  it('refuses other methods, other forms and strangers, and tells the host nothing', async () => {
    const got = await faultyCall('/recover/', 'get');
    assert.deepEqual([got.status, got.headers['allow'], got.text], [405, 'POST', 'Method not allowed: GET.\n']);
    assert.equal((await call('/recover/').set('Accept', 'image/png')).status, 406);
    assert.equal((await documentedCalls(server).post('/recover/')).status, 401);
    assert.equal((await faultyCall('/recover/?x=1')).status, 404);
    assert.equal(host.recovered, 0);
  });
});
