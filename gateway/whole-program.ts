/** The control API of one worker speaks for all of them: what it does not know itself it asks the others. */
import { textOfAll, type MetricsText, type MetricValues, type ProcessMetrics } from './control/metrics.ts';
import type { ChannelFilter, ChannelInfo, ControlHost, SessionInfo } from './core/control-host.ts';
import { ForegateError } from './core/errors.ts';
import type { ChannelName } from './core/ids.ts';
import type { MaybePromise } from './core/promise.ts';
import type { Asked, Question } from './core/question.ts';
import type { Revocation } from './core/revocation.ts';
import type { ClusterMember } from './engines/cluster-member.ts';
import { mergeReports } from './session/statistics.ts';

/** What a process knows of its own sessions. */
export interface OwnHost extends ControlHost {
  channelsOf(names: readonly ChannelName[]): readonly ChannelInfo[];
}

/** Answers what another worker asks. @throws ForegateError as the host does */
export function answerQuestion(host: OwnHost, metrics: ProcessMetrics, question: Question): MaybePromise<unknown> {
  switch (question.kind) {
    case 'refresh':
      return host.refresh(question.id);
    case 'renew':
      return host.renew(question.id, question.token);
    case 'session':
      return host.session(question.id);
    case 'open-of':
      return host.openOf(question.ids);
    case 'sessions':
      return host.sessions(question.filter);
    case 'channels':
      return host.channels(question.filter);
    case 'channels-of':
      return host.channelsOf(question.names);
    case 'statistics':
      return host.statistics();
    case 'metrics':
      return metrics.values();
    case 'revoke':
      return host.revoke(question.revocation);
  }
}

/** Those who do not answer within {@link limits.askMs} are left out. */
export function hostOfAll(own: OwnHost, member: ClusterMember): ControlHost {
  return {
    ...own,
    refresh: async (id) => (await own.refresh(id)) || (await member.ask({ kind: 'refresh', id })).answers.includes(true),
    revoke: async (revocation) => revokeEverywhere(own, member, revocation),
    renew: async (id, token) => {
      const renewal = await own.renew(id, token);
      if (renewal !== 'unknown') return renewal;
      const { answers } = await member.ask({ kind: 'renew', id, token });
      return answers.find((answer) => answer !== 'unknown') ?? 'unknown';
    },
    async openOf(ids) {
      const { answers } = await member.ask({ kind: 'open-of', ids });
      const open = new Set([await own.openOf(ids), ...answers].flat());
      return ids.filter((id) => open.has(id));
    },
    async sessions(filter) {
      const { answers } = await member.ask({ kind: 'sessions', filter });
      return [await own.sessions(filter), ...answers].flat().slice(0, filter.limit);
    },
    session: async (id) => (await own.session(id)) ?? firstKnown((await member.ask({ kind: 'session', id })).answers),
    channels: (filter) => channelsEverywhere(own, member, filter),
    async statistics() {
      const { answers } = await member.ask({ kind: 'statistics' });
      return mergeReports([await own.statistics(), ...answers]);
    },
    ready: () => own.ready() && member.complete,
  };
}

export async function metricsOfAll(own: ProcessMetrics, member: ClusterMember): Promise<MetricsText> {
  const { answers } = await member.ask({ kind: 'metrics' });
  // Each worker answers with its own values.
  return textOfAll([await own.values(), ...(answers as readonly MetricValues[])]);
}

/** The own process first: when it can remember no more, nobody is told. */
async function revokeEverywhere(own: OwnHost, member: ClusterMember, revocation: Revocation): Promise<number> {
  const ended = await own.revoke(revocation);
  const { answers, failed }: Asked<number> = await member.ask({ kind: 'revoke', revocation });
  if (failed > 0) throw new ForegateError('overloaded', 'Some workers could not take the revocation; the log says why.');
  return answers.reduce((sum, more) => sum + more, ended);
}

/** The names first, then what each worker has of them: a list that was cut short has not all subscribers of a channel. */
async function channelsEverywhere(own: OwnHost, member: ClusterMember, filter: ChannelFilter): Promise<ChannelInfo[]> {
  const found = await member.ask({ kind: 'channels', filter });
  const all = [await own.channels(filter), ...found.answers].flat().map(({ channel }) => channel);
  const names = [...new Set(all)].slice(0, filter.limit);
  const { answers } = await member.ask({ kind: 'channels-of', names });
  return mergeChannels([own.channelsOf(names), ...answers].flat());
}

function mergeChannels(entries: readonly ChannelInfo[]): ChannelInfo[] {
  const merged = new Map<ChannelName, ChannelInfo>();
  for (const entry of entries) {
    const known = merged.get(entry.channel);
    merged.set(entry.channel, known === undefined ? entry : sumOf(known, entry));
  }
  return [...merged.values()];
}

function sumOf(one: ChannelInfo, other: ChannelInfo): ChannelInfo {
  const dropped = (one.dropped ?? 0) + (other.dropped ?? 0);
  return { channel: one.channel, subscribers: one.subscribers + other.subscribers, ...(dropped > 0 && { dropped }) };
}

function firstKnown(answers: readonly (SessionInfo | undefined)[]): SessionInfo | undefined {
  return answers.find((answer) => answer !== undefined);
}
