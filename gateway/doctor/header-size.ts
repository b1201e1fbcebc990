/** How large may a request's head be? Asked by doubling, up to what clients may send here; where that is too large, by halving. */
import { programChange } from '../config/change.ts';
import { harmless, headBytes, wordOf, type Examination, type Probe } from './examination.ts';
import { finding, type Finding } from './finding.ts';

const smallest = 2048;
/** Requests that look for the limit. */
const halvings = 3;
const filler = 'X-Foregate-Doctor';

export const headerSize: Probe = async (examination) => {
  const { patient } = examination;
  const { headerBytes: most } = patient.loaded.settings.limits;
  let taken = 0;
  for (const size of sizes(most)) {
    const refusal = await refusalOf(examination, size);
    if (refusal !== undefined) return [await ofRefusal(examination, { most, taken, size, refusal })];
    taken = size;
  }
  return [finding('ok', 'header', `It takes a head of ${taken} bytes, as much as clients may send here.`)];
};

interface Refused {
  readonly most: number;
  readonly taken: number;
  readonly size: number;
  readonly refusal: string;
}

async function ofRefusal(examination: Examination, refused: Refused): Promise<Finding> {
  const { most, size, refusal } = refused;
  const taken = await largest(examination, refused);
  const detail = `It refuses a head of ${size} bytes (${refusal})${taken === 0 ? '' : ` and takes ${taken}`}; clients may send ${most} here.`;
  const wish = { now: String(most), wanted: String(Math.max(1024, taken)) };
  const changes = [programChange(examination.patient.loaded, ['limits', 'headerBytes'], wish)];
  return finding('warning', 'header', detail, { ...wordOf(examination, 'header'), changes });
}

/** The largest found to be taken. */
async function largest(examination: Examination, { taken: least, size }: Refused): Promise<number> {
  let taken = least;
  let tooLarge = size;
  for (let i = 0; i < halvings; i += 1) {
    const middle = Math.floor((taken + tooLarge) / 2);
    if ((await refusalOf(examination, middle)) === undefined) taken = middle;
    else tooLarge = middle;
  }
  return taken;
}

function sizes(most: number): number[] {
  const list: number[] = [];
  for (let size = smallest; size < most; size *= 2) list.push(size);
  return [...list, most];
}

/** In a word; undefined: it takes so much, or the head is as large by itself. */
async function refusalOf({ patient, asker, usual }: Examination, size: number): Promise<string | undefined> {
  const draft = await patient.draft(harmless);
  const room = size - headBytes(draft) - filler.length - 4;
  if (room <= 0) return undefined;
  draft.headers.push(filler, 'a'.repeat(room));
  const outcome = await asker.ask(draft);
  if (outcome.kind === 'failed') return outcome.reason;
  const { status } = outcome.reply;
  return status !== usual.status && statuses.includes(status) ? String(status) : undefined;
}

/** 494 is nginx's own number for it. */
const statuses: readonly number[] = [400, 413, 414, 431, 494];
