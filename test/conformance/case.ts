/**
 * What a rule of the protocol is here: a case with a name that stays, a sentence, and a body that judges any gateway over sockets.
 * Nothing in this folder knows the gateway's code.
 */
import type { Stage } from './stage.ts';

/** A difference that is meant: what each does, and why Foregate does it in its own way. */
export interface Difference {
  readonly foregate: string;
  readonly pushpin: string;
  readonly reason: string;
}

export interface Case {
  /** Section and name, `4.5-timeout`; also its path and the beginning of its channels. */
  readonly id: string;
  /** The rule in a sentence. */
  readonly rule: string;
  readonly run: (stage: Stage) => Promise<void>;
  /** The body asks `stage.pick` what to expect, or expects Foregate's way only: then `absent` says so. */
  readonly differs?: Difference;
  /** The body has to fail on Pushpin 1.36, which does not have it. */
  readonly absent?: 'pushpin';
  /** A defect of Foregate that is known: the body has to fail there, until somebody mends it and takes this line away. */
  readonly known?: string;
  /** It touches other cases, so it runs when all others are done. */
  readonly alone?: true;
  /** The body reads or changes the gateway's files, or uses doors that only they tell of: not for a gateway that runs already. */
  readonly files?: true;
  /** It mostly waits, for more than a second: it starts first and does not count among those that run at a time. */
  readonly slow?: true;
}

export interface Chapter {
  /** As in the protocol: 2 is WebSocket-over-HTTP, 4 holds. */
  readonly number: number;
  readonly title: string;
  readonly cases: readonly Case[];
}
