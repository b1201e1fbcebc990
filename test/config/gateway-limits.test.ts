/** Warnings about settings that do not go together with a gateway as it comes, and the lines to change. */
import { deepEqual } from 'node:assert/strict';
import { batchChanges, changeLine, limitWarnings } from '../../gateway/config/gateway-limits.ts';
import { loadText } from '../../gateway/config/load.ts';
import { parts } from '../../gateway/parts.ts';

async function warned(text: string): Promise<unknown[]> {
  const warnings = limitWarnings(await loadText('foregate.yaml', text, parts, {}));
  return warnings.map(({ route, about, changes }) => [route, about, ...changes.map(changeLine)]);
}

describe('what is known of a gateway', () => {
  it('gives no warning where everything goes together, or nothing is known', async () => {
    for (const adapter of ['generic', 'kong', 'tyk', 'apigee', 'apisix', 'azure', 'nginx', 'caddy', 'haproxy'])
      deepEqual(await warned(`routes:\n  - id: a\n    target: http://h\n    adapter: ${adapter}\n`), [], adapter);
    deepEqual(await warned('routes:\n  - id: a\n    target: { url: "http://h", idle: 10m, timeout: 10m }\n'), []);
  });

  it('names a timeout that is never reached, also one that is the default', async () => {
    deepEqual(await warned('routes:\n  - id: a\n    target: http://h\n    adapter: aws\n'), [
      [
        'a',
        'timeout',
        'foregate.yaml:3:13  routes[0].target.timeout is 30s by default; write "target: { url: "http://h", timeout: 29s }"',
      ],
    ]);
    deepEqual(await warned('routes:\n  - id: a\n    target: { url: "http://h", timeout: 29s }\n    adapter: aws\n'), []);
  });

  it('names an idle time as long as the one of the gateway', async () => {
    const text = (idle: string) =>
      `routes:\n  - id: a\n    targets:\n      - url: http://h\n        idle: ${idle}\n    adapter: nginx\n`;
    deepEqual(await warned(text('75s')), [
      ['a', 'idle', 'foregate.yaml:5:15  routes[0].targets[0].idle is 75s; write "idle: 74s"'],
    ]);
    deepEqual(await warned(text('74s')), []);
  });

  it('names limits that make a body too large, where they stand', async () => {
    const text = `defaults:
  adapter: nginx
  limits:
    queueBytes: 2000000
routes:
  - id: a
    target: http://h
  - id: b
    target: { url: "http://h", oneEventPerRequest: true }
`;
    deepEqual(await warned(text), [
      ['a', 'body', 'foregate.yaml:4:17  defaults.limits.queueBytes is 2000000; write "queueBytes: 523776"'],
    ]);
  });

  it('puts two limits into one mapping where there is none yet: a second would be an error', async () => {
    const loaded = await loadText('foregate.yaml', 'routes:\n  - id: a\n    target: http://h\n', parts, {});
    const wanted = 'write "limits: { queueBytes: 32256, messageBytes: 32256 }"';
    deepEqual(batchChanges(loaded, 0, 65_536).map(changeLine), [
      `foregate.yaml:2:5  routes[0].limits.queueBytes is 200000 by default; ${wanted}`,
      `foregate.yaml:2:5  routes[0].limits.messageBytes is 199999 by default; ${wanted}`,
    ]);
  });
});
