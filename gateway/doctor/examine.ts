/** The doctor's round: each target of the routes, one look after the other. Its requests are few, small and mean nothing. */
import type { LoadedConfig } from '../config/load.ts';
import type { Adapter } from '../core/adapter.ts';
import { testBackendUrl } from '../core/target-settings.ts';
import { Asker, DoneAsking, isLimit } from './asker.ts';
import { bodySize } from './body-size.ts';
import { buffering } from './buffering.ts';
import { credentials } from './credentials.ts';
import type { BackendProbe, BackendTerms, Examination, Probe } from './examination.ts';
import { finding, type Finding, type Report } from './finding.ts';
import { greet } from './greeting.ts';
import { headerSize } from './header-size.ts';
import { hop } from './hop.ts';
import { watchIdle } from './idle.ts';
import { patience } from './patience.ts';
import { compileRoute, createPatient, type ClientTerms, type Patient } from './patient.ts';
import { resends } from './resends.ts';
import type { StandIn } from './stand-in.ts';

export interface Terms extends BackendTerms {
  readonly client: ClientTerms;
  readonly adapters: readonly Adapter[];
  /** Where the gateway's route leads to; undefined: to a backend that tells nothing. */
  readonly standIn: StandIn | undefined;
  /** How long an unused connection is watched. */
  readonly idleWaitMs: number;
  /** For all of it. */
  readonly timeoutMs: number;
}

/** `routeId`: of the only route to look at. @throws Error where there is no such route, or the adapter refuses the client */
export async function examine(loaded: LoadedConfig, routeId: string | undefined, terms: Terms): Promise<Report[]> {
  const places = loaded.routes.flatMap(({ settings: { id } }, index) => (routeId === undefined || id === routeId ? [index] : []));
  if (places.length === 0) throw new Error(`There is no route ${JSON.stringify(routeId)}.`);
  const signal = AbortSignal.timeout(terms.timeoutMs);
  const reports: Report[] = [];
  for (const place of places) reports.push(...(await examineRoute(loaded, place, { ...terms, signal })));
  return reports;
}

interface Round extends Terms {
  readonly signal: AbortSignal;
}

async function examineRoute(loaded: LoadedConfig, place: number, round: Round): Promise<Report[]> {
  const one = loaded.routes[place];
  if (one === undefined) return [];
  const world = await compileRoute(loaded, one);
  try {
    const reports: Report[] = [];
    for (const [index, targetSettings] of one.settings.targets.entries()) {
      const [route] = world.routes;
      const target = route?.targets[index];
      if (route === undefined || target === undefined) continue;
      const at = { route: place, target: index };
      const { settings, adapter } = one;
      const patient = createPatient({ loaded, at, settings, targetSettings, adapter, route, target }, round.client);
      reports.push(await examineTarget(patient, round));
    }
    return reports;
  } finally {
    await world.dispose();
  }
}

async function examineTarget(patient: Patient, round: Round): Promise<Report> {
  const { route, target, at } = patient;
  const asker = new Asker(target, round.signal);
  const findings: Finding[] = unfit(patient) ?? (await found(patient, asker, round));
  return { route: route.id, target: at.target, origin: patient.targetSettings.url, requests: asker.made, findings };
}

/** What there is nothing to ask of. */
function unfit({ targetSettings: { url, dialect } }: Patient): Finding[] | undefined {
  if (url === testBackendUrl) return [finding('note', 'gateway', 'The backend that comes with Foregate: there is no gateway.')];
  if (dialect === 'relay') return [finding('note', 'gateway', 'A WebSocket backend: there are no requests to look at.')];
  return undefined;
}

/** Behind what a backend sees: these need most requests, and a gateway may have its limits. */
const sizes: readonly (readonly [about: string, probe: Probe])[] = [
  ['body', bodySize],
  ['header', headerSize],
];

async function found(patient: Patient, asker: Asker, round: Round): Promise<Finding[]> {
  const findings: Finding[] = [];
  await orNotTried(findings, 'reach', async () => {
    const { findings: first, usual, facts } = await greet(patient, asker, round.adapters);
    findings.push(...first);
    if (usual === undefined || isLimit(patient.target, usual)) return [];
    return all({ patient, asker, usual, facts }, round);
  });
  return findings;
}

/** The connection that is watched is opened first, so that the rest goes on meanwhile. */
async function all(examination: Examination, round: Round): Promise<Finding[]> {
  const findings: Finding[] = [];
  let idle: Promise<Finding[]> | undefined;
  await orNotTried(findings, 'idle', async () => {
    idle = (await watchIdle(examination, round.idleWaitMs)).findings;
    return [];
  });
  await orNotTried(findings, 'credentials', () => credentials(examination));
  findings.push(...(await behind(examination, round)));
  for (const [about, probe] of sizes) await orNotTried(findings, about, () => probe(examination));
  return [...((await idle) ?? []), ...findings];
}

const backendProbes: readonly (readonly [about: string, probe: BackendProbe])[] = [
  ['resends', resends],
  ['buffering', buffering],
  ['timeout', patience],
];

/** What only a backend sees. */
async function behind(examination: Examination, { standIn, timeoutWaitMs }: Round): Promise<Finding[]> {
  if (standIn === undefined) return [finding('note', 'backend', notSeen)];
  const findings: Finding[] = [];
  let arrived = false;
  await orNotTried(findings, 'fields', async () => {
    const onTheWay = await hop(examination, standIn, { timeoutWaitMs });
    arrived = onTheWay !== undefined;
    return onTheWay ?? [finding('warning', 'backend', nothingArrived(standIn))];
  });
  if (!arrived) return findings;
  for (const [about, probe] of backendProbes)
    await orNotTried(findings, about, async () => (await probe(examination, standIn, { timeoutWaitMs })) ?? []);
  return findings;
}

const notSeen =
  'What it gets is not seen: fields, Host, address, bytes, resends, buffering and timeout need --listen, and a route of the gateway that leads there.';

function nothingArrived({ port }: StandIn): string {
  return `Nothing arrived at the port ${port}: the gateway's route for this path does not lead there, or refuses the request.`;
}

async function orNotTried(findings: Finding[], about: string, run: () => Promise<Finding[]>): Promise<void> {
  try {
    findings.push(...(await run()));
  } catch (thrown) {
    if (!(thrown instanceof DoneAsking)) throw thrown;
    findings.push(finding('note', about, `Not looked at: ${thrown.message}.`));
  }
}
