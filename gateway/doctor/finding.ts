/** What the doctor says: one finding for each matter it looked at. */
import { changeLine } from '../config/gateway-limits.ts';
import type { Change } from '../config/change.ts';

/** `clash`: something will be lost or refused as it stands; `note`: nothing to judge, or not looked at. */
export type Level = 'ok' | 'note' | 'warning' | 'clash';

export interface Finding {
  readonly level: Level;
  /** A word or two for what it is about. */
  readonly about: string;
  /** Sentences, without anything that may be a secret. */
  readonly detail: string;
  /** What changes it at the gateway, in the gateway's own words. */
  readonly gateway?: string;
  /** What changes it in our file. */
  readonly changes?: readonly Change[];
}

/** What was found at one target of one route. */
export interface Report {
  readonly route: string;
  /** From 0. */
  readonly target: number;
  readonly origin: string;
  /** How many requests were made for it. */
  readonly requests: number;
  readonly findings: readonly Finding[];
}

export function finding(
  level: Level,
  about: string,
  detail: string,
  more: { readonly gateway?: string | undefined; readonly changes?: readonly Change[] } = {},
): Finding {
  const { gateway, changes = [] } = more;
  return { level, about, detail, ...(gateway !== undefined && { gateway }), ...(changes.length > 0 && { changes }) };
}

export function hasClash(reports: readonly Report[]): boolean {
  return reports.some(({ findings }) => findings.some(({ level }) => level === 'clash'));
}

/** For a person at a terminal. */
export function reportLines({ route, target, origin, requests, findings }: Report): string[] {
  return [`route ${route}, target ${target}: ${origin}`, ...findings.flatMap(findingLines), `  ${requests} requests were made.`];
}

function findingLines({ level, about, detail, gateway, changes = [] }: Finding): string[] {
  return [
    `  ${level.padEnd(7)}  ${about}: ${detail}`,
    ...(gateway === undefined ? [] : [`           at the gateway: ${gateway}`]),
    ...changes.map((change) => `           ${changeLine(change)}`),
  ];
}
