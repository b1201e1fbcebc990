/** The line of a connection in the log, when it has ended: who, where, how long, how much. Never a query, a field or content. */
import type { Log } from '../core/log.ts';
import type { SessionView } from '../core/session.ts';
import type { Tally } from '../core/tally.ts';

/** How it ended. */
export interface ConnectionEnd {
  readonly endedAt: number;
  /** Of the answer, where it was not 101. */
  readonly status?: number;
  /** Close code; 1006 where there was no close frame. */
  readonly code?: number;
}

export function logConnection(log: Log, session: SessionView, tally: Tally, { endedAt, status, code }: ConnectionEnd): void {
  const { id, routeId, transport, request, identity, openedAt } = session;
  const [path = ''] = request.path.split('?', 1);
  const { by, ...numbers } = tally;
  log.info('connection.closed', {
    session: id,
    route: routeId,
    transport,
    ...(transport !== 'websocket' && { method: request.method }),
    address: request.address,
    path,
    ...(identity && { subject: identity.subject }),
    ms: endedAt - openedAt,
    ...numbers,
    ...(status !== undefined && { status }),
    ...(code !== undefined && { code }),
    ...(by !== undefined && { by }),
  });
}
