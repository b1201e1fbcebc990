/** A plain request as policies see it: a session that ends with its answer. */
import { newSessionId } from '../core/ids.ts';
import type { Route } from '../core/route.ts';
import {
  noMetadata,
  type ClientRequest,
  type ConsumedCredential,
  type Denial,
  type Identity,
  type SessionView,
} from '../core/session.ts';

export class RequestSession implements SessionView {
  readonly id = newSessionId();
  readonly transport = 'request';
  readonly state = noMetadata;
  readonly meta = noMetadata;
  readonly consumed: ConsumedCredential[] = [];
  readonly request: ClientRequest;
  readonly route: Route;
  readonly openedAt: number;
  identity: Identity | undefined;
  readonly #end: (denial: Denial) => void;

  /** `end` breaks off the answer: what a policy asks for when a token expires in its midst. */
  constructor(route: Route, request: ClientRequest, openedAt: number, end: (denial: Denial) => void) {
    this.route = route;
    this.request = request;
    this.openedAt = openedAt;
    this.#end = end;
  }

  get routeId() {
    return this.route.id;
  }

  /** A plain answer has no place for messages. */
  send(): void {}

  end(denial: Denial): void {
    this.#end(denial);
  }
}
