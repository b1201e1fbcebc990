/**
 * What is measured: how each gateway is started, its ports, and the paths it serves. All listen on 127.0.0.1 and have the backend
 * of bench/load on port 9000 behind them. Configurations of the peers are written by setup.sh, whose ports these are.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import jsonwebtoken from 'jsonwebtoken';
import type { FanOutScenario, Scenario, ScenarioId } from './scenarios.ts';

export interface Target {
  readonly about: string;
  /** Undefined: the backend itself is measured. */
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly clientPort: number;
  readonly publish?: Publishing;
  readonly paths: Paths;
  /** Only these; otherwise all that its paths allow. */
  readonly only?: readonly ScenarioId[];
  /** What setup.sh must prepare. */
  readonly peer?: 'pushpin' | 'nchan';
  /** Debian packages whose versions belong in the report. */
  readonly packages?: readonly string[];
}

/** `%C` stands for the channel, `%M` for the message. */
export interface Publishing {
  readonly port: number;
  readonly path: string;
  readonly body: string;
  /** For event streams. */
  readonly streamBody: string;
  /** For long-polls. */
  readonly pollBody: string;
}

/** In all but `echo` and `plain`, `%C` stands for the channel. */
export interface Paths {
  readonly echo?: string;
  readonly subscribe?: string;
  /** An event stream. */
  readonly stream?: string;
  /** One that fetches a next link every ten seconds. */
  readonly linked?: string;
  readonly poll?: string;
  readonly idle?: string;
  readonly plain?: string;
}

export const root = join(import.meta.dirname, '..');
export const workFolder = join(root, '.cache/bench');
export const backendPort = 9000;
export const product = join(root, 'dist/bin/foregate.js');

const gripPaths: Paths = {
  echo: '/echo',
  subscribe: '/sub?ch=%C',
  stream: '/stream?ch=%C',
  linked: '/linked?ch=%C',
  poll: '/poll?ch=%C',
  idle: '/sub?ch=%C&detach=1',
  plain: '/plain',
};
const gripPublishing = {
  path: '/publish/',
  body: '{"items":[{"channel":"%C","formats":{"ws-message":{"content":"%M"}}}]}',
  streamBody: '{"items":[{"channel":"%C","formats":{"http-stream":{"content":"data: %M\\n\\n"}}}]}',
  pollBody: '{"items":[{"channel":"%C","formats":{"http-response":{"body":"%M\\n"}}}]}',
} as const;

export const targets = {
  foregate: {
    about: 'Foregate, with a rate limit that is asked for each message',
    command: [process.execPath, product, 'run', '--config', 'bench/foregate.yaml'],
    clientPort: 8200,
    publish: { port: 8201, ...gripPublishing },
    paths: gripPaths,
  },
  'foregate-jwt': withToken({
    about: 'the same, and a JSON Web Token (HS256) is asked for',
    command: [process.execPath, product, 'run', '--config', 'bench/foregate-jwt.yaml'],
    clientPort: 8210,
    paths: gripPaths,
    only: ['s1b', 's5'],
  }),
  pushpin: {
    about: 'Pushpin with zurl and condure, without its default limit of 2,500 deliveries per second',
    command: [join(workFolder, 'pushpin/start.sh')],
    clientPort: 8220,
    publish: { port: 8221, ...gripPublishing },
    paths: gripPaths,
    peer: 'pushpin',
    packages: ['pushpin', 'zurl', 'condure'],
  },
  nchan: {
    about: 'nginx with the nchan module, one worker; channels and plain HTTP only',
    command: ['/usr/sbin/nginx', '-c', join(workFolder, 'nchan/nginx.conf'), '-e', join(workFolder, 'nchan/error.log')],
    clientPort: 8230,
    publish: { port: 8231, path: '/pub/%C', body: '%M', streamBody: '%M', pollBody: '%M\n' },
    paths: { subscribe: '/sub/%C', stream: '/sub/%C', poll: '/poll/%C', idle: '/sub/%C', plain: '/plain' },
    peer: 'nchan',
    packages: ['nginx', 'libnginx-mod-nchan'],
  },
  floor: {
    about: 'the backend itself, with no gateway before it: what the kernel and the load generator leave',
    clientPort: backendPort,
    paths: { echo: '/ws', plain: '/plain' },
  },
} as const satisfies Readonly<Record<string, Target>>;

export type TargetName = keyof typeof targets;

export const targetNames = Object.keys(targets) as TargetName[]; // Object.keys forgets which keys they are.

/** Where the subscribers of a scenario go. */
export function subscribePath({ subscribe, stream, linked }: Paths, { transport }: FanOutScenario): string | undefined {
  if (transport === undefined) return subscribe;
  return transport === 'sse' ? stream : linked;
}

/** Whether the target can do it. */
export function offers({ only, paths, publish }: Target, id: ScenarioId, scenario: Scenario): boolean {
  if (only !== undefined && !only.includes(id)) return false;
  switch (scenario.kind) {
    case 'echo':
    case 'connect':
      return paths.echo !== undefined;
    case 'fan-out':
      return subscribePath(paths, scenario) !== undefined && publish !== undefined;
    case 'mixed':
      return paths.echo !== undefined && paths.subscribe !== undefined && publish !== undefined;
    case 'idle':
      return paths.idle !== undefined;
    case 'plain':
      return paths.plain !== undefined;
    case 'poll':
      return paths.poll !== undefined && publish !== undefined;
  }
}

/** A secret for this run, and paths that carry a token made with it. */
function withToken(target: Target): Target {
  const secret = randomBytes(32).toString('hex');
  const token = jsonwebtoken.sign({ sub: 'bench' }, secret, { algorithm: 'HS256', expiresIn: '1d' });
  return { ...target, env: { BENCH_JWT_SECRET: secret }, paths: { echo: `/echo?token=${token}` } };
}
