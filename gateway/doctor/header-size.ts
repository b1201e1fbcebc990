/** How large may a request's head be? Asked by doubling, up to what clients may send here. */
import { programChange } from '../config/change.ts';
import type { Outcome } from './asker.ts';
import { harmless, headBytes, wordOf, type Examination, type Probe } from './examination.ts';
import { finding } from './finding.ts';

const smallest = 2048;
const filler = 'X-Foregate-Doctor';

export const headerSize: Probe = async (examination) => {
  const { patient, usual } = examination;
  const { headerBytes: most } = patient.loaded.settings.limits;
  let taken = 0;
  for (const size of sizes(most)) {
    const outcome = await withHead(examination, size);
    if (outcome !== undefined && isRefused(outcome, usual.status)) {
      const detail = `It refuses a head of ${size} bytes (${wordsOf(outcome)})${taken === 0 ? '' : ` and takes ${taken}`}; clients may send ${most} here.`;
      const wanted = Math.max(1024, taken);
      const changes = [programChange(patient.loaded, ['limits', 'headerBytes'], { now: String(most), wanted: String(wanted) })];
      return [finding('warning', 'header', detail, { ...wordOf(examination, 'header'), changes })];
    }
    if (outcome !== undefined) taken = size;
  }
  return [finding('ok', 'header', `It takes a head of ${taken} bytes, as much as clients may send here.`)];
};

function sizes(most: number): number[] {
  const list: number[] = [];
  for (let size = smallest; size < most; size *= 2) list.push(size);
  return [...list, most];
}

/** Undefined where the head is as large by itself. */
async function withHead({ patient, asker }: Examination, size: number): Promise<Outcome | undefined> {
  const draft = await patient.draft(harmless);
  const room = size - headBytes(draft) - filler.length - 4;
  if (room <= 0) return undefined;
  draft.headers.push(filler, 'a'.repeat(room));
  return asker.ask(draft);
}

/** 494 is nginx's own number for it. */
const statuses: readonly number[] = [400, 413, 414, 431, 494];

function isRefused(outcome: Outcome, usualStatus: number): boolean {
  if (outcome.kind === 'failed') return true;
  const { status } = outcome.reply;
  return status !== usualStatus && statuses.includes(status);
}

function wordsOf(outcome: Outcome): string {
  return outcome.kind === 'failed' ? outcome.reason : String(outcome.reply.status);
}
