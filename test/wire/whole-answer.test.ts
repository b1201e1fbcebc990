/** The bytes that `node:http` itself would write, and a connection that goes on as it would. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Reply } from '../../gateway/core/exchange.ts';
import { answerRequest } from '../../gateway/front/refusal.ts';

const reply: Reply = {
  status: 200,
  reason: 'OK',
  headers: ['Content-Type', 'text/plain', 'X-A', 'é'],
  body: Buffer.from('item\0ü'),
};

describe('a whole answer', () => {
  let server: Server;
  let client: Socket;
  let received: string;
  let answer: (response: ServerResponse) => void;

  beforeEach(async () => {
    received = '';
    server = createServer((_request, response) => answer(response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('data', (bytes) => (received += bytes.toString('latin1')));
  });

  afterEach(() => {
    client.destroy();
    server.closeAllConnections();
    server.close();
  });

  async function ask(request: string, answers = 1): Promise<string> {
    received = '';
    client.write(request);
    while (received.split('HTTP/1.1 ').length <= answers || !received.includes('\r\n\r\n')) await once(client, 'data');
    return received;
  }

  /** What `node:http` makes of the same reply. */
  function ordinary(response: ServerResponse): void {
    response.sendDate = false;
    response.writeHead(reply.status, reply.reason, [...reply.headers, 'Content-Length', String(reply.body.length)]);
    response.end(reply.body);
  }

  for (const request of [
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nnever',
    'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
  ]) {
    it(`has the bytes of node:http for ${request.split('\r\n', 1)[0]}, ${request.length} bytes`, async () => {
      answer = (response) => answerRequest(response, reply);
      const own = await ask(request);
      client.destroy();
      client = connect((server.address() as AddressInfo).port, '127.0.0.1');
      client.on('data', (bytes) => (received += bytes.toString('latin1')));
      answer = ordinary;
      assert.equal(own, await ask(request));
    });
  }

  it('lets the connection go on, and tells that the response has ended', async () => {
    const told: string[] = [];
    answer = (response) => {
      for (const event of ['finish', 'close'])
        response.once(event, () => void told.push(`${event} ${response.writableFinished}`));
      answerRequest(response, reply);
      told.push(`${response.headersSent} ${response.writableEnded} ${response.statusCode}`);
    };
    for (let i = 0; i < 3; i += 1) assert.match(await ask('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), /item/);
    await new Promise(setImmediate);
    assert.deepEqual(told, Array.from({ length: 3 }, () => ['true true 200', 'finish true', 'close true']).flat());
  });

  it('keeps the order of requests that came at once, whichever is answered first', async () => {
    const waiting: ServerResponse[] = [];
    answer = (response) => {
      waiting.push(response);
      if (waiting.length < 3) return;
      for (const [index, one] of waiting.toReversed().entries())
        answerRequest(one, { ...reply, body: Buffer.from(`<${2 - index}>`) });
    };
    const bytes = await ask('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(3), 3);
    assert.deepEqual(bytes.match(/<.>/g), ['<0>', '<1>', '<2>']);
  });

  it('leaves a body that is too large to copy to node:http', async () => {
    const body = Buffer.alloc(100_000, 'x');
    answer = (response) => answerRequest(response, { ...reply, body });
    await ask('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    while (received.length < body.length) await once(client, 'data');
    assert.match(received, /Content-Length: 100000\r\n/);
  });

  it('leaves an answer whose head somebody changes to node:http', async () => {
    answer = (response) => {
      const { writeHead } = response;
      response.writeHead = (...head: unknown[]): ServerResponse =>
        (writeHead as (...all: unknown[]) => ServerResponse).call(response.setHeader('X-Late', '1'), ...head);
      answerRequest(response, reply);
    };
    assert.match(await ask('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), /X-Late: 1/);
  });

  it('does nothing for a client that is gone', async () => {
    const held = new Promise<ServerResponse>((resolve) => {
      answer = resolve;
    });
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const response = await held;
    const closed = once(response, 'close');
    client.destroy();
    await closed;
    assert.doesNotThrow(() => answerRequest(response, reply));
  });
});
