/** Stands for a session before some policies: it shows what the session is; what is done to it is decided by who makes one. */
import type { Message } from './event.ts';
import type { ConsumedCredential, Denial, Identity, SessionView } from './session.ts';

export abstract class SessionShadow implements SessionView {
  abstract readonly consumed: ConsumedCredential[];
  abstract identity: Identity | undefined;
  protected readonly session: SessionView;

  constructor(session: SessionView) {
    this.session = session;
  }

  abstract send(message: Message): void;
  abstract end(denial: Denial): void;

  get id() {
    return this.session.id;
  }

  get routeId() {
    return this.session.routeId;
  }

  get transport() {
    return this.session.transport;
  }

  get request() {
    return this.session.request;
  }

  get openedAt() {
    return this.session.openedAt;
  }

  get state() {
    return this.session.state;
  }

  get meta() {
    return this.session.meta;
  }
}
