/**
 * What policies cost: `node bench/policies.ts [--rounds 5] [--duration 3]`. Foregate with no policy, with the usual two, with all that
 * look at messages, and with counters in Redis run beside one another and are measured in turns; their CPU per event is told as a
 * ratio to that with no policy in the same round. Redis's own CPU is not counted. Without redis-server that line is left out.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import jsonwebtoken from 'jsonwebtoken';
import { expectFree, startChild, stopChildren, waitForPort } from './children.ts';
import { measure } from './measure.ts';
import { allowOpenFiles, buildProduct, setUp } from './prepare.ts';
import { scenarios, type ScenarioId } from './scenarios.ts';
import { backendPort, product, root, workFolder, type Target } from './targets.ts';

interface Variant {
  readonly about: string;
  readonly policies: readonly object[];
  readonly redis?: true;
}

interface Started {
  readonly name: string;
  readonly target: Target;
  readonly pid: number;
}

const secret = randomBytes(32).toString('hex');
const token = jsonwebtoken.sign({ sub: 'bench' }, secret, { algorithm: 'HS256', expiresIn: '1d' });
const redisServer = '/usr/bin/redis-server';
const redisPort = 8249;
const firstPort = 8240;

const jwt = { use: 'jwt', secret, algorithms: ['HS256'], from: { query: 'token' } };
/** Asked for each message, and never met. */
const rateLimit = { use: 'rate-limit', messages: 1_000_000_000, window: '1s', by: 'session' };

const variants: Readonly<Record<string, Variant>> = {
  none: { about: 'no policy', policies: [] },
  usual: { about: 'jwt, rate-limit in memory', policies: [jwt, rateLimit] },
  all: {
    about: 'all that look at messages',
    policies: [
      { ...jwt, renewal: { value: 'renew-the-token' } },
      rateLimit,
      { use: 'rate-limit', bytes: 1_000_000_000, window: '1s', by: 'subject' },
      { use: 'quota', messages: 1_000_000_000_000, period: 'month' },
      { use: 'message-size', textBytes: 100_000, jsonDepth: 32, jsonKeys: 1000 },
      { use: 'message-schema', schemas: { chat: { inline: { type: 'object' } } }, default: 'pass' },
    ],
  },
  redis: { about: 'jwt, rate-limit in Redis', policies: [jwt, { ...rateLimit, by: 'subject' }], redis: true },
};

/** One message for each request, and a hundred. */
const measured: readonly ScenarioId[] = ['s1b', 's1d'];

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, duration: { type: 'string', default: '3' } },
});
const rounds = within(values.rounds, 100);
const durationSeconds = within(values.duration, 60);

buildProduct();
setUp([]);
allowOpenFiles(200);
try {
  const started = await startAll();
  for (const scenario of measured) await compare(scenario, started);
} finally {
  await stopChildren();
}

async function startAll(): Promise<readonly Started[]> {
  await expectFree(backendPort);
  startChild([join(workFolder, 'backend'), String(backendPort)]);
  await waitForPort(backendPort);
  const hasRedis = existsSync(redisServer);
  if (hasRedis) await startRedis();
  const chosen = Object.entries(variants).filter(([, { redis }]) => redis !== true || hasRedis);
  const started: Started[] = [];
  for (const [index, [name, variant]] of chosen.entries()) started.push(await startVariant(name, variant, firstPort + index * 2));
  await after(1000);
  return started;
}

async function startRedis(): Promise<void> {
  await expectFree(redisPort);
  startChild([redisServer, '--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--dir', workFolder]);
  await waitForPort(redisPort);
}

async function startVariant(name: string, variant: Variant, port: number): Promise<Started> {
  const folder = join(workFolder, 'policies');
  await mkdir(folder, { recursive: true });
  const file = join(folder, `${name}.yaml`);
  // JSON is YAML. The secret is one of this run.
  await writeFile(file, JSON.stringify(settingsOf(variant, port)));
  for (const own of [port, port + 1]) await expectFree(own);
  const { pid } = startChild([process.execPath, product, 'run', '--config', file], { cwd: root });
  await waitForPort(port);
  return { name, pid, target: { about: variant.about, clientPort: port, paths: { echo: `/echo?token=${token}` } } };
}

function settingsOf({ policies, redis }: Variant, port: number): object {
  return {
    listen: [{ host: '127.0.0.1', port }],
    control: { host: '127.0.0.1', port: port + 1 },
    log: { level: 'warn' },
    ...(redis === true && { store: { use: 'redis', url: `redis://127.0.0.1:${redisPort}` } }),
    routes: [{ id: 'all', target: `http://127.0.0.1:${backendPort}`, policies }],
  };
}

async function compare(id: ScenarioId, started: readonly Started[]): Promise<void> {
  const cpuUs = new Map<string, number[]>(started.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    // In the reverse order every other time, so that a machine that grows slower favours nobody.
    for (const one of round % 2 === 0 ? started : started.toReversed()) {
      const { cpuUsPerUnit: used } = await measure(scenarios[id], { ...one, durationSeconds });
      cpuUs.get(one.name)?.push(used ?? NaN);
    }
  }
  const none = cpuUs.get('none') ?? [];
  console.log(`\n${id}: ${scenarios[id].title}`.padEnd(52), 'CPU us per event   ratio to none (each round)');
  for (const { name, target } of started) {
    const own = cpuUs.get(name) ?? [];
    const ratios = own.map((used, round) => used / (none[round] ?? NaN));
    const told = ratios.map((ratio) => ratio.toFixed(2)).join(' ');
    console.log(`  ${target.about.padEnd(48)} ${median(own).toFixed(2).padStart(16)}   ${median(ratios).toFixed(3)} (${told})`);
  }
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

function within(text: string, max: number): number {
  const number = Number(text);
  if (!(number > 0 && number <= max)) throw new TypeError(`It must be a number above 0, and ${max} at most.`);
  return number;
}
