/** Lists of sessions and channels, as the control API and other processes ask for them. */
import type { ChannelFilter, ChannelInfo, SessionFilter, SessionInfo } from '../core/control-host.ts';

export function listSessions(sessions: Iterable<SessionInfo>, { channel, subject, limit }: SessionFilter): SessionInfo[] {
  const wanted = (session: SessionInfo): boolean =>
    (channel === undefined || session.channels.some((joined) => joined === channel)) &&
    (subject === undefined || session.subject === subject);
  return firstOf(sessions, limit, wanted);
}

export function listChannels(channels: Iterable<ChannelInfo>, { prefix, limit }: ChannelFilter): ChannelInfo[] {
  return firstOf(channels, limit, ({ channel }) => channel.startsWith(prefix));
}

function firstOf<Entry>(entries: Iterable<Entry>, limit: number, wanted: (entry: Entry) => boolean): Entry[] {
  const found: Entry[] = [];
  for (const entry of entries) {
    if (!wanted(entry)) continue;
    found.push(entry);
    if (found.length === limit) break;
  }
  return found;
}
