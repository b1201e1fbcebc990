/** Remarks in short. */
import type { Remark } from './gateway-route.ts';

export function refused(about: string, text: string): Remark {
  return { about, verdict: 'refused', text };
}

export function tightened(about: string, text: string): Remark {
  return { about, verdict: 'tightened', text };
}

export function told(about: string, text: string): Remark {
  return { about, verdict: 'told', text };
}

/** Each once: what is read for several routes is told several times. */
export function remarksOnce(remarks: readonly Remark[]): Remark[] {
  return [...new Map(remarks.map((remark) => [`${remark.about}\n${remark.text}`, remark])).values()];
}
