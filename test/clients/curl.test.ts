/** curl: a client that speaks every version of HTTP. */
import assert from 'node:assert/strict';
import { need } from '../support/debian.ts';
import { startProcess, type Process } from '../support/processes.ts';
import { byPath, held, setHoldStage, stream, type HoldStage } from '../protocol/holds.ts';
import { clearStage, eventually } from '../protocol/stage.ts';

afterEach(clearStage);

function curl(stage: HoldStage, path: string, ...args: string[]): Process {
  return startProcess(need('curl'), ['-sS', '-N', '--max-time', '10', ...args, `http://127.0.0.1:${stage.port}${path}`]);
}

const answers = byPath({
  '/poll': held('c', { 'Grip-Timeout': '5' }),
  '/events': stream('c', { 'Content-Type': 'text/event-stream' }, 'data: first\n\n'),
  '/plain': { body: 'plain' },
});

for (const version of ['--http1.0', '--http1.1'])
  describe(`curl ${version}`, () => {
    let stage: HoldStage;
    beforeEach(async () => {
      stage = await setHoldStage({ answer: answers });
    });

    it('gets a plain answer', async () => {
      const got = curl(stage, '/plain', version);
      assert.deepEqual([await got.ended, got.output()], [0, 'plain']);
    });

    it('gets a held answer', async () => {
      const got = curl(stage, '/poll', version, '-w', ' %{http_code}');
      await stage.joined('c');
      await stage.answered('c', 'the item');
      assert.deepEqual([await got.ended, got.output()], [0, 'the item 200']);
    });

    it('gets a stream piece by piece, and its clean end', async () => {
      const got = curl(stage, '/events', version);
      await stage.joined('c');
      await stage.streamed('c', 'data: second\n\n');
      await eventually(() => got.output() === 'data: first\n\ndata: second\n\n');
      await stage.item('c', { 'http-stream': { action: 'close' } });
      assert.equal(await got.ended, 0);
    });

    it('gets the head of a stream alone with HEAD', async () => {
      const got = curl(stage, '/events', version, '-I');
      assert.equal(await got.ended, 0);
      assert.match(got.output(), /^HTTP\/1\.[01] 200 OK\r\n/);
      assert.match(got.output(), /^content-type: text\/event-stream\r$/im);
    });
  });
