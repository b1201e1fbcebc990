/** `foregate doctor` as a user runs it: its exit codes and its two kinds of output. */
import { deepEqual, doesNotMatch, equal, match } from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bare, startRawGateway, type RawGateway } from '../doctor/raw-gateway.ts';
import { freePort } from '../support/processes.ts';
import { foregate } from './command.ts';

const secret = 'sesame-open-4711';

describe('foregate doctor', () => {
  let folder: string;
  let gateway: RawGateway;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'foregate-doctor-'));
    gateway = await startRawGateway(({ head }) => bare(head.includes(`apikey: ${secret}`) ? 404 : 401, 'Via: kong/3.4.2\r\n'));
  });
  after(async () => {
    await gateway.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function configuration(text: string): Promise<void> {
    await writeFile(join(folder, 'foregate.yaml'), text);
  }

  function doctor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    return foregate(['doctor', '--idle-wait', '50ms', ...args], { cwd: folder, env });
  }

  it('ends with 0 where nothing clashes, and prints what it found, but no credential', async () => {
    await configuration(`routes:\n  - id: chat\n    target: ${gateway.origin}\n    adapter: kong\n`);
    const { code, stdout, stderr } = await doctor(['--credential-env', 'KEY'], { KEY: secret });
    match(stdout, /^route chat, target 0: http:\/\/127\.0\.0\.1:\d+$/m);
    match(stdout, /^ {2}ok {7}gateway: Kong Gateway 3\.4\.2, by its field Via\.$/m);
    match(stdout, /^ {2}\d+ requests were made\.$/m);
    doesNotMatch(stdout + stderr, new RegExp(secret));
    equal(code, 0, stdout + stderr);
  });

  it('ends with 1 where something clashes, and prints JSON if that is wanted', async () => {
    await configuration(
      `routes:\n  - id: chat\n    target: ${gateway.origin}\n    adapter: { use: kong, credentials: replace, secret: no-${secret} }\n`,
    );
    const { code, stdout, stderr } = await doctor(['--json', '--route', 'chat']);
    const [report] = JSON.parse(stdout) as { route: string; findings: { level: string; about: string }[] }[];
    deepEqual(
      report?.findings.filter(({ level }) => level === 'clash').map(({ about }) => about),
      ['credentials'],
    );
    doesNotMatch(stdout + stderr, new RegExp(secret));
    equal(code, 1);
  });

  it('ends with 1 where the target cannot be reached, and says why', async () => {
    await configuration(`routes:\n  - id: chat\n    target: http://127.0.0.1:${await freePort()}\n`);
    const { code, stdout } = await doctor([]);
    match(stdout, /^ {2}clash {4}reach: It cannot be reached: connect ECONNREFUSED/m);
    equal(code, 1);
  });

  it('ends with 2 for a configuration that is wrong, and asks nothing', async () => {
    const before = gateway.requests.length;
    await configuration(`routes:\n  - id: chat\n    target: ${gateway.origin}\n    adaptor: kong\n`);
    const { code, stderr } = await doctor([]);
    match(stderr, /did you mean "adapter"/);
    equal(code, 2);
    equal(gateway.requests.length, before);
  });

  it('stands in for the backend, and tells known clashes, too', async () => {
    await configuration(`routes:\n  - id: chat\n    target: ${gateway.origin}\n    adapter: aws\n`);
    const port = await freePort();
    const { stdout, stderr } = await doctor(
      ['--listen', String(port), '--credential-env', 'KEY', '--credential-header', 'apikey'],
      {
        KEY: secret,
      },
    );
    match(stderr, new RegExp(`^Standing in for the backend at 127\\.0\\.0\\.1:${port}\\.$`, 'm'));
    match(stderr, /^warning: route chat: AWS API Gateway .* answers by itself after 29s/m);
    match(stdout, /^ {2}warning {2}backend: Nothing arrived at the port/m);
  });

  it('wants a variable that is set, and durations and ports that are some', async function () {
    this.timeout(30_000);
    await configuration(`routes:\n  - id: chat\n    target: ${gateway.origin}\n`);
    for (const [args, said] of [
      [['--credential-env', 'FOREGATE_NO_SUCH'], /The variable FOREGATE_NO_SUCH is not set\./],
      [['--timeout', '5'], /Write it as 500ms, 10s or 2m\./],
      [['--listen', '70000'], /A port is a number/],
      [['--path', 'chat'], /A path begins with/],
      [['--route', 'none'], /There is no route "none"/],
    ] as const) {
      const { code, stderr } = await doctor(args);
      match(stderr, said);
      equal(code, 1, stderr);
    }
  });
});

describe('warnings of settings that clash with a gateway', () => {
  it('are told by foregate check on standard error, with the line to change, and it ends with 0', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'foregate-check-'));
    await writeFile(join(folder, 'foregate.yaml'), 'routes:\n  - id: chat\n    target: http://127.0.0.1:9\n    adapter: aws\n');
    const { code, stderr } = await foregate(['check'], { cwd: folder });
    await rm(folder, { recursive: true, force: true });
    equal(
      stderr,
      `warning: route chat: AWS API Gateway (REST APIs) answers by itself after 29s unless its timeoutInMillis says otherwise: the timeout 30s is never reached, and what the backend says later is lost.
  foregate.yaml:3:13  routes[0].target.timeout is 30s by default; write "target: { url: "http://127.0.0.1:9", timeout: 29s }"
`,
    );
    equal(code, 0);
  });
});
