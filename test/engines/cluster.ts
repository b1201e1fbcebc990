/** A primary and its workers in one process, with a real channel between processes between them. */
import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { realClock } from '../../gateway/core/clock.ts';
import { silentLog, type Log } from '../../gateway/core/log.ts';
import type { MaybePromise } from '../../gateway/core/promise.ts';
import type { Question } from '../../gateway/core/question.ts';
import type { ChannelName } from '../../gateway/core/ids.ts';
import { ClusterMember } from '../../gateway/engines/cluster-member.ts';
import { ClusterPrimary, type Connected } from '../../gateway/engines/cluster-primary.ts';
import type { Frame } from '../../gateway/engines/cluster-messages.ts';

interface Envelope {
  readonly to: number;
  readonly frame: Frame<never>;
}

export interface WorkerTerms {
  readonly answer?: (question: Question) => MaybePromise<unknown>;
  readonly wanted?: (channel: ChannelName, wanted: boolean) => void;
  readonly collector?: boolean;
  /** Called before it joins. */
  readonly before?: (member: ClusterMember) => void;
}

/** Every frame goes through another process and back, as Node writes and reads it there. */
export class EchoChannel {
  readonly #child: ChildProcess;
  readonly #receivers = new Map<number, (frame: Frame<never>) => void>();
  #ends = 0;

  constructor() {
    this.#child = fork(join(import.meta.dirname, 'ipc-echo-process.ts'), { serialization: 'advanced' });
    this.#child.on('message', ({ to, frame }: Envelope) => this.#receivers.get(to)?.(frame));
  }

  /** A sending end, which leads to `receive`. */
  end(receive: (frame: Frame<never>) => void): (frame: Frame<unknown>, written: () => void) => void {
    const to = (this.#ends += 1);
    this.#receivers.set(to, receive);
    return (frame, written) => void this.#child.send({ to, frame }, () => written());
  }

  async close(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.disconnect();
    await gone;
  }
}

export class TestCluster {
  readonly primary: ClusterPrimary;
  readonly #channel: EchoChannel;
  readonly #log: Log;
  readonly #programKey = randomBytes(32);
  #workers = 0;

  constructor(channel: EchoChannel, log: Log = silentLog) {
    this.primary = new ClusterPrimary({ clock: realClock, log });
    this.#channel = channel;
    this.#log = log;
  }

  /** One that has joined; `gone` is its death. */
  async worker(terms: WorkerTerms = {}): Promise<{ readonly member: ClusterMember; readonly gone: () => void }> {
    const { member, connected } = this.connect();
    const { answer = () => undefined, wanted = () => undefined, collector = false, before } = terms;
    before?.(member);
    await member.join({ answer, wanted }, { collector });
    return { member, gone: connected.gone };
  }

  /** One that has not joined yet. */
  connect(): { readonly member: ClusterMember; readonly connected: Connected } {
    const number = (this.#workers += 1);
    let connected: Connected | undefined;
    const send = this.#channel.end((frame) => connected?.take(frame));
    const member = new ClusterMember({ number, programKey: this.#programKey, send, clock: realClock, log: this.#log });
    connected = this.primary.connect(
      number,
      this.#channel.end((frame) => member.take(frame)),
    );
    return { member, connected };
  }
}

/** For a suite: a channel for all of its tests, and for each a cluster, which is closed after it. */
export function useCluster(): () => TestCluster {
  let channel: EchoChannel;
  let cluster: TestCluster;
  before(() => {
    channel = new EchoChannel();
  });
  beforeEach(() => {
    cluster = new TestCluster(channel);
  });
  afterEach(() => cluster.primary.close());
  after(() => channel.close());
  return () => cluster;
}
