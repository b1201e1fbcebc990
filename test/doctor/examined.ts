/** Lets the doctor look at a configuration that is given as a text. */
import { changeLine } from '../../gateway/config/gateway-limits.ts';
import { loadText } from '../../gateway/config/load.ts';
import { examine, type Terms } from '../../gateway/doctor/examine.ts';
import type { Finding, Report } from '../../gateway/doctor/finding.ts';
import type { ClientTerms } from '../../gateway/doctor/patient.ts';
import { parts } from '../../gateway/parts.ts';

type Wanted = Partial<Omit<Terms, 'client'>> & Partial<ClientTerms> & { readonly route?: string };

export async function examined(text: string, wanted: Wanted = {}): Promise<Report[]> {
  const { route, path, host, credential, ...terms } = wanted;
  const client = {
    version: '1.2.3',
    ...(path !== undefined && { path }),
    ...(host !== undefined && { host }),
    ...(credential && { credential }),
  };
  const loaded = await loadText('foregate.yaml', text, parts, {});
  return examine(loaded, route, {
    client,
    adapters: parts.adapters,
    idleWaitMs: 50,
    timeoutWaitMs: 0,
    standIn: undefined,
    timeoutMs: 8000,
    ...terms,
  });
}

/** Level, the gateway's setting and our lines of what was found about something, in the only report. */
export function about(reports: readonly Report[], matter: string): unknown[] {
  return reports.flatMap(({ findings }) =>
    findings
      .filter((one) => one.about === matter)
      .flatMap(({ level, gateway, changes = [] }) => [
        level,
        ...(gateway === undefined ? [] : [gateway]),
        ...changes.map(changeLine),
      ]),
  );
}

export function detailOf(reports: readonly Report[], matter: string): string {
  return reports
    .flatMap(({ findings }) => findings.filter((one) => one.about === matter).map(({ detail }: Finding) => detail))
    .join('\n');
}
