/** What the control API of one process asks the other processes of its program, and what they answer. */
import type { ChannelFilter, ChannelInfo, Renewal, SessionFilter, SessionInfo, StatisticsReport } from './control-host.ts';
import type { ChannelName, SessionId } from './ids.ts';
import type { Revocation } from './revocation.ts';

/** The answer to each kind of question. */
export interface Answers {
  refresh: boolean;
  'open-of': readonly SessionId[];
  sessions: readonly SessionInfo[];
  session: SessionInfo | undefined;
  channels: readonly ChannelInfo[];
  'channels-of': readonly ChannelInfo[];
  statistics: StatisticsReport;
  /** As the library of metrics has them. */
  metrics: readonly unknown[];
  /** How many sessions were ended. */
  revoke: number;
  renew: Renewal;
}

export type Question =
  | { readonly kind: 'refresh' | 'session'; readonly id: SessionId }
  | { readonly kind: 'renew'; readonly id: SessionId; readonly token: string }
  | { readonly kind: 'open-of'; readonly ids: readonly SessionId[] }
  | { readonly kind: 'sessions'; readonly filter: SessionFilter }
  | { readonly kind: 'channels'; readonly filter: ChannelFilter }
  | { readonly kind: 'channels-of'; readonly names: readonly ChannelName[] }
  | { readonly kind: 'statistics' | 'metrics' }
  | { readonly kind: 'revoke'; readonly revocation: Revocation };

/** What came back from the others. */
export interface Asked<Answer> {
  readonly answers: readonly Answer[];
  /** So many could not do it. */
  readonly failed: number;
  /** So many did not answer in time. */
  readonly silent: number;
}
