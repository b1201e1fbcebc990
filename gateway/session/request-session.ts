/** A plain request as policies see it: a session that ends with its answer. Where it is held, the hold speaks through it. */
import { newSessionId } from '../core/ids.ts';
import type { Route } from '../core/route.ts';
import {
  noMetadata,
  type ClientRequest,
  type ConsumedCredential,
  type Denial,
  type Identity,
  type Metadata,
  type SessionView,
} from '../core/session.ts';
import { newTally, type Tally } from '../core/tally.ts';

type Held = Pick<SessionView, 'transport' | 'meta' | 'end'>;

export class RequestSession implements SessionView {
  readonly id = newSessionId();
  readonly state = noMetadata;
  readonly consumed: ConsumedCredential[] = [];
  readonly request: ClientRequest;
  readonly route: Route;
  readonly openedAt: number;
  identity: Identity | undefined;
  /** For the log; undefined where the route wants no line. */
  readonly tally: Tally | undefined;
  readonly #end: (denial: Denial) => void;
  #held: Held | undefined;

  /** `end` breaks off the answer: what a policy asks for when a token expires in its midst. */
  constructor(route: Route, request: ClientRequest, openedAt: number, end: (denial: Denial) => void) {
    this.route = route;
    this.request = request;
    this.openedAt = openedAt;
    this.tally = route.log?.connections === true ? newTally() : undefined;
    this.#end = end;
  }

  get routeId() {
    return this.route.id;
  }

  /** A plain answer has no place for messages. */
  send(): void {}

  get transport(): SessionView['transport'] {
    return this.#held?.transport ?? 'request';
  }

  get meta(): Metadata {
    return this.#held?.meta ?? noMetadata;
  }

  heldBy(held: Held): void {
    this.#held = held;
  }

  end(denial: Denial): void {
    if (this.#held === undefined) this.#end(denial);
    else this.#held.end(denial);
  }
}
