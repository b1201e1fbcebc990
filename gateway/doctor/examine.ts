/** The doctor's round: each target of the routes, one look after the other. Its requests are few, small and mean nothing. */
import type { LoadedConfig } from '../config/load.ts';
import type { Adapter } from '../core/adapter.ts';
import { testBackendUrl } from '../core/route-settings.ts';
import { Asker, DoneAsking } from './asker.ts';
import { bodySize } from './body-size.ts';
import { credentials } from './credentials.ts';
import type { Examination, Probe } from './examination.ts';
import { finding, type Finding, type Report } from './finding.ts';
import { greet, isThrottled } from './greeting.ts';
import { headerSize } from './header-size.ts';
import { watchIdle } from './idle.ts';
import { compileRoute, createPatient, type ClientTerms, type Patient } from './patient.ts';

export interface Terms {
  readonly client: ClientTerms;
  readonly adapters: readonly Adapter[];
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

const probes: readonly (readonly [about: string, probe: Probe])[] = [
  ['credentials', credentials],
  ['header', headerSize],
  ['body', bodySize],
];

async function found(patient: Patient, asker: Asker, round: Round): Promise<Finding[]> {
  const findings: Finding[] = [];
  await orNotTried(findings, 'reach', async () => {
    const { findings: first, usual, facts } = await greet(patient, asker, round.adapters);
    findings.push(...first);
    if (usual === undefined || isThrottled(patient, usual)) return [];
    return all({ patient, asker, usual, facts }, round);
  });
  return findings;
}

/** The connection that is watched is opened first, so that the rest goes on meanwhile. */
async function all(examination: Examination, { idleWaitMs }: Round): Promise<Finding[]> {
  const findings: Finding[] = [];
  let idle: Promise<Finding[]> | undefined;
  await orNotTried(findings, 'idle', async () => {
    idle = (await watchIdle(examination, idleWaitMs)).findings;
    return [];
  });
  for (const [about, probe] of probes) await orNotTried(findings, about, () => probe(examination));
  return [...((await idle) ?? []), ...findings];
}

async function orNotTried(findings: Finding[], about: string, run: () => Promise<Finding[]>): Promise<void> {
  try {
    findings.push(...(await run()));
  } catch (thrown) {
    if (!(thrown instanceof DoneAsking)) throw thrown;
    findings.push(finding('note', about, `Not looked at: ${thrown.message}.`));
  }
}
