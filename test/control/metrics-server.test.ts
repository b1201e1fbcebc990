/** The port for Prometheus alone. */
import assert from 'node:assert/strict';
import type { Server } from 'node:http';
import { metricsServer, type MetricsServerParts } from '../../gateway/control/metrics-server.ts';
import { silentLog } from '../../gateway/core/log.ts';
import { RawSocket } from '../support/raw-socket.ts';
import { listen } from './fake-host.ts';

describe('the port for metrics', () => {
  let server: Server;
  let port: number;

  async function start(parts: Partial<MetricsServerParts> = {}): Promise<void> {
    server = metricsServer({ metricsText: async () => ({ type: 'text/plain', text: 'a 1\n' }), log: silentLog, ...parts });
    port = await listen(server);
  }

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const ask = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${port}${path}`, { method });

  it('answers on any path', async () => {
    await start();
    for (const path of ['/', '/metrics', '/x/y?z']) {
      const answer = await ask(path);
      assert.deepEqual([answer.status, answer.headers.get('content-type'), await answer.text()], [200, 'text/plain', 'a 1\n']);
    }
    const head = await ask('/', 'HEAD');
    assert.deepEqual([head.status, await head.text()], [200, '']);
  });

  it('takes no other method', async () => {
    await start();
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await ask('/publish/', method);
      assert.deepEqual([answer.status, answer.headers.get('allow')], [405, 'GET, HEAD']);
      await answer.body?.cancel();
    }
  });

  it('tells of a failure here without showing it', async () => {
    await start({ metricsText: () => Promise.reject(new TypeError('secret detail')) });
    const answer = await ask('/');
    assert.equal(answer.status, 500);
    assert.doesNotMatch(await answer.text(), /secret/);
  });

  it('lives on after what is no HTTP', async () => {
    await start();
    const socket = await RawSocket.connect(port);
    socket.send('\u0000\u0001nonsense\r\n\r\n');
    await socket.takeEnd();
    assert.equal((await ask('/')).status, 200);
  });
});
