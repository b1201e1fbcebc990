import assert from 'node:assert/strict';
import { Agent, request, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import * as fc from 'fast-check';
import { controlParts, FakeHost, listen, plainServer } from './fake-host.ts';

describe('arbitrary bodies', () => {
  const agent = new Agent({ keepAlive: true });
  let server: Server;
  let port: number;

  before(async () => {
    server = plainServer(controlParts(new FakeHost()));
    port = await listen(server);
  });

  after(() => {
    agent.destroy();
    server.close();
  });

  async function post(path: string, body: Buffer): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const made = request({ port, host: '127.0.0.1', path, method: 'POST', agent, headers: { 'Content-Length': body.length } });
      made.on('error', reject);
      made.on(
        'response',
        (response) => void text(response).then((answer) => resolve({ status: response.statusCode ?? 0, body: answer }), reject),
      );
      made.end(body);
    });
  }

  const json = fc.json({ maxDepth: 4 });
  const nearlyPublish = fc
    .array(
      fc.record(
        {
          channel: fc.oneof(fc.string(), fc.constant('a')),
          id: fc.oneof(fc.string(), fc.integer()),
          formats: fc.dictionary(
            fc.constantFrom('ws-message', 'http-stream', 'http-response'),
            fc.dictionary(
              fc.constantFrom('content', 'content-bin', 'body', 'action', 'type', 'code', 'headers'),
              fc.anything({ maxDepth: 2 }),
            ),
          ),
          meta: fc.dictionary(fc.string(), fc.string()),
          size: fc.oneof(fc.integer(), fc.string()),
        },
        { requiredKeys: ['channel'] },
      ),
    )
    .map((items) => JSON.stringify({ items }, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value)));
  const nearlySmall = fc
    .record({ cid: fc.anything({ maxDepth: 1 }), ids: fc.array(fc.oneof(fc.string(), fc.integer())) }, { requiredKeys: [] })
    .map((value) => JSON.stringify(value, (_key, member: unknown) => (typeof member === 'bigint' ? String(member) : member)));
  const body = fc.oneof(json, nearlyPublish, nearlySmall).map((value) => Buffer.from(value));
  const bytes = fc.uint8Array({ maxLength: 200 }).map((value) => Buffer.from(value));

  it('never bring forth an error of ours', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('/publish/', '/refresh/', '/conncheck/'), fc.oneof(body, bytes), async (path, sent) => {
        const answer = await post(path, sent);
        assert.ok([200, 400, 404].includes(answer.status), `${answer.status} ${answer.body}`);
        assert.match(answer.body, /\n$/);
        assert.doesNotMatch(answer.body, /\bat .*\.[jt]s:\d+/);
      }),
      { numRuns: 200 },
    );
  });
});
