/** Is anybody there, who is it, and what does it think of a small request? */
import type { Adapter } from '../core/adapter.ts';
import { adapterChange } from '../config/change.ts';
import type { Reply } from '../core/exchange.ts';
import type { GatewayFacts } from '../core/gateway-facts.ts';
import type { Fault } from '../core/profile.ts';
import { webSocketOverHttp } from '../wire/websocket-over-http.ts';
import type { Asker } from './asker.ts';
import { harmless } from './examination.ts';
import { finding, type Finding } from './finding.ts';
import type { Patient } from './patient.ts';

export interface Greeting {
  readonly findings: readonly Finding[];
  /** Undefined: nothing else can be found out. */
  readonly usual: Reply | undefined;
  readonly facts: GatewayFacts | undefined;
}

export async function greet(patient: Patient, asker: Asker, adapters: readonly Adapter[]): Promise<Greeting> {
  const outcome = await asker.ask(await patient.draft(harmless));
  if (outcome.kind === 'failed') {
    const what = outcome.sent ? 'takes the connection and does not answer' : 'cannot be reached';
    return { findings: [finding('clash', 'reach', `It ${what}: ${outcome.reason}.`)], usual: undefined, facts: undefined };
  }
  const { reply } = outcome;
  const seen = whoAnswered(reply, patient, adapters);
  const findings = [...ofGateway(patient, seen), ...ofAnswer(patient, reply)];
  return { findings, usual: reply, facts: seen?.adapter.facts ?? patient.adapter.facts };
}

interface Seen {
  readonly adapter: Adapter;
  readonly version: string | undefined;
  readonly by: string;
}

/** The route's own adapter first; a field may be one of the backend that the gateway passes on. */
function whoAnswered(reply: Reply, patient: Patient, adapters: readonly Adapter[]): Seen | undefined {
  const { adapter: own } = patient;
  const shown = adapters.flatMap((adapter): Seen[] => {
    const recognised = adapter.facts?.recognise(reply);
    return recognised === undefined ? [] : [{ adapter, ...recognised }];
  });
  // A server that both a gateway and a backend may be is told last.
  const byField =
    shown.find(({ adapter }) => adapter.name === own.name) ?? shown.find(({ by }) => by !== serverField) ?? shown[0];
  return byField ?? byRefusal(reply, patient, adapters);
}

const serverField = 'its field Server';

function byRefusal(reply: Reply, { adapter: own, settings }: Patient, adapters: readonly Adapter[]): Seen | undefined {
  const claims = adapters.filter((adapter) => adapter.profile(settings.adapter).fault(reply).by === adapter.name);
  const claim = claims.find(({ name }) => name === own.name) ?? (claims.length === 1 ? claims[0] : undefined);
  return claim && { adapter: claim, version: undefined, by: 'the way it refuses' };
}

function ofGateway({ adapter: own, loaded, at }: Patient, seen: Seen | undefined): Finding[] {
  if (seen === undefined) return [finding('note', 'gateway', `It does not show who it is; the adapter is ${own.name}.`)];
  const { adapter, version, by } = seen;
  const who = `${adapter.facts?.title ?? adapter.name}${version === undefined ? '' : ` ${version}`}, by ${by}.`;
  if (adapter.name === own.name) return [finding('ok', 'gateway', who)];
  const changes = [adapterChange(loaded, at.route, { now: own.name, wanted: adapter.name })];
  const follows =
    own.name === 'generic'
      ? 'Its refusals are read by their status only.'
      : `Refusals are read as those of ${own.name}. If the field is the backend's, all is well.`;
  const level = own.name === 'generic' || by === serverField ? 'warning' : 'clash';
  return [finding(level, 'gateway', `${who} ${follows}`, { changes })];
}

function ofAnswer(patient: Patient, reply: Reply): Finding[] {
  if (webSocketOverHttp.speaks(reply)) return [finding('ok', 'answer', 'The backend answers in WebSocket-over-HTTP.')];
  const { status } = reply;
  if (status < 300)
    return [
      finding(
        'warning',
        'answer',
        `${status} to a path that nobody knows, and not in WebSocket-over-HTTP: a gateway without a site for this Host answers so. Each message would end its session (1011). --host says what clients send, \`host\` of the target what the gateway gets.`,
      ),
    ];
  if (status < 400)
    return [finding('warning', 'answer', `${status}, a redirect: sessions do not follow it. Does the gateway want https?`)];
  return ofRefusal(patient, reply.status, patient.target.profile.fault(reply));
}

/** Credentials have a probe of their own. */
function ofRefusal({ settings }: Patient, status: number, { kind, by }: Fault): Finding[] {
  if (kind === 'unauthenticated' || kind === 'forbidden') return [];
  if (kind === 'throttled' || kind === 'quota')
    return [finding('note', 'answer', `${status}: a limit of the gateway is used up. Nothing else is asked; try again later.`)];
  if (kind === 'no-route' && by !== undefined)
    return [finding('warning', 'answer', `${status}: the gateway has no route for this path. --path names one that it has.`)];
  if (status === 404 || status === 405)
    return [finding('ok', 'answer', `${status}, as from a backend of ${settings.id} that does not know this path.`)];
  return [finding('warning', 'answer', `${status}: the gateway or the backend behind it does not do what it is asked.`)];
}
