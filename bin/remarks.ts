/** What exports have to say, for people: a line each, to standard error. */
import type { Remark } from '../adapters/conversion/gateway-route.ts';

export function remarkLines(remarks: readonly Remark[]): string {
  return remarks.map(({ about, verdict, text }) => `${titles[verdict]}${about}: ${text}\n`).join('');
}

const titles: Readonly<Record<Remark['verdict'], string>> = { refused: 'refused: ', tightened: 'tightened: ', told: '' };
