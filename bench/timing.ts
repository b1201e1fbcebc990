/**
 * Whether the time of a refusal tells how much of a credential was right: `node bench/timing.ts [SAMPLES]` (default: 20000, a minute).
 * Credentials that differ from the right one in their first character are measured against those that differ in their last, in turns
 * drawn by lot, and Welch's t-test compares the two: beyond 4.5 in either direction they are told apart. A comparison that stops at
 * the first difference stands beside them, to show that one is found. It needs a quiet machine, and proves nothing about networks.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { createAuthenticate, type ControlAuth } from '../gateway/control/authenticate.ts';
import { silentLog } from '../gateway/core/log.ts';
import { createPolicy, testSession } from '../gateway/testing/index.ts';
import { apiKey } from '../policies/api-key.ts';

/** Refuses a credential; what is measured. */
type Refuse = (credential: string) => void;

interface Door {
  readonly name: string;
  readonly refuse: Refuse;
}

const suspicious = 4.5;
/** Calls that make one sample: one alone is shorter than the clock can tell. */
const callsPerSample = 50;
/** Of both kinds together the slowest are left out: they were interrupted. */
const keptShare = 0.9;

const secret = randomBytes(32).toString('hex');
const unequal = Array.from('ghijklmnopqrstuvwxyz', (first) => `${first}${secret.slice(1)}`);
const equalPrefix = Array.from('ghijklmnopqrstuvwxyz', (last) => `${secret.slice(0, -1)}${last}`);

async function doors(): Promise<Door[]> {
  const policy = await createPolicy(apiKey, { keys: [{ key: secret, name: 'one' }] });
  return [
    { name: 'control.auth.bearer', refuse: controlDoor({ bearer: [secret] }, (text) => `Bearer ${text}`) },
    {
      name: 'control.auth.basic',
      refuse: controlDoor({ basic: [{ user: 'u', password: secret }] }, (text) => `Basic ${btoa(`u:${text}`)}`),
    },
    {
      name: 'api-key',
      refuse: (credential) => void policy.connect?.(testSession({ headers: ['X-API-Key', credential] }), []),
    },
    { name: '(first difference)', refuse: (credential) => void sameUntil(credential) },
  ];
}

function controlDoor(auth: ControlAuth, field: (credential: string) => string): Refuse {
  const authenticate = createAuthenticate(auth, silentLog);
  const request = new IncomingMessage(new Socket());
  return (credential) => {
    request.headers.authorization = field(credential);
    authenticate(request);
  };
}

/** What must not be done. */
function sameUntil(credential: string): number {
  let i = 0;
  while (i < secret.length && secret.charCodeAt(i) === credential.charCodeAt(i)) i += 1;
  return i;
}

function timeOf(refuse: Refuse, credentials: readonly string[]): number {
  const start = process.hrtime.bigint();
  for (let i = 0; i < callsPerSample; i += 1) refuse(credentials[i % credentials.length] ?? '');
  return Number(process.hrtime.bigint() - start) / callsPerSample;
}

/** Welch's t of the times of both kinds, in nanoseconds a call. */
function compare({ refuse }: Door, samples: number): { readonly t: number; readonly difference: number } {
  for (let i = 0; i < 200; i += 1) timeOf(refuse, i % 2 === 0 ? unequal : equalPrefix);
  const times: [number[], number[]] = [[], []];
  for (let i = 0; i < samples; i += 1) {
    const kind = randomInt(2);
    times[kind as 0 | 1].push(timeOf(refuse, kind === 0 ? unequal : equalPrefix));
  }
  const sorted = times.flat().toSorted((a, b) => a - b);
  const limit = sorted[Math.floor(sorted.length * keptShare)] ?? Infinity;
  const [early, late] = times.map((list) => summary(list.filter((time) => time <= limit)));
  if (early === undefined || late === undefined) throw new TypeError('There are two kinds.');
  const difference = late.mean - early.mean;
  return { t: difference / Math.sqrt(early.spread + late.spread), difference };
}

/** The mean and its variance. */
function summary(times: readonly number[]): { readonly mean: number; readonly spread: number } {
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  const variance = times.reduce((sum, time) => sum + (time - mean) ** 2, 0) / (times.length - 1);
  return { mean, spread: variance / times.length };
}

const samples = Number(process.argv[2] ?? 20_000);
if (!Number.isSafeInteger(samples) || samples < 100) throw new TypeError('SAMPLES is a whole number of at least 100.');
console.log('door                        t    last - first');
for (const door of await doors()) {
  const { t, difference } = compare(door, samples);
  const mark = Math.abs(t) > suspicious ? '  told apart' : '';
  console.log(`${door.name.padEnd(20)} ${t.toFixed(2).padStart(8)} ${difference.toFixed(1).padStart(9)} ns${mark}`);
}
