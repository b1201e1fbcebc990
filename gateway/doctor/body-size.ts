/** How large may a body be? The largest that the route may send, and if that is too large, what is not. */
import { batchBytes, batchChanges } from '../config/gateway-limits.ts';
import type { Outcome } from './asker.ts';
import { pings, wordOf, type Examination, type Probe } from './examination.ts';
import { finding } from './finding.ts';

/** Requests that look for the limit; each halves what is not known. */
const tries = 8;

export const bodySize: Probe = async (examination) => {
  const { patient, usual } = examination;
  const most = batchBytes(patient.settings, patient.targetSettings);
  const outcome = await withBody(examination, most);
  if (!isRefused(outcome, usual.status)) {
    if (usual.status === 401 || usual.status === 403)
      return [finding('note', 'body', `A body of ${most} bytes gets the same ${usual.status}: the limit may come behind it.`)];
    return [finding('ok', 'body', `It takes a body with ${most} bytes of messages, the most that this route sends.`)];
  }
  const taken = await largest(examination, most);
  const changes = taken === 0 ? [] : batchChanges(patient.loaded, patient.at.route, taken);
  const detail = `It refuses a body with ${most} bytes of messages (${wordsOf(outcome)}), which this route may send, and takes ${taken}: its messages are lost and the session ends (1009).`;
  return [finding('clash', 'body', detail, { ...wordOf(examination, 'body'), changes })];
};

/** The largest content found to be taken, 0 if none was. */
async function largest(examination: Examination, refused: number): Promise<number> {
  let taken = 0;
  let tooLarge = refused;
  for (let i = 0; i < tries && tooLarge - taken > 1024; i += 1) {
    const size = Math.floor((taken + tooLarge) / 2);
    if (isRefused(await withBody(examination, size), examination.usual.status)) tooLarge = size;
    else taken = size;
  }
  return taken;
}

async function withBody({ patient, asker }: Examination, bytes: number): Promise<Outcome> {
  return asker.ask(await patient.draft(pings(bytes)));
}

/** Gateways have many numbers for it; Caddy's proxy says 502, and some close. Any answer that a small body does not get counts. */
const statuses: readonly number[] = [400, 411, 413, 417, 431, 500, 502];

function isRefused(outcome: Outcome, usualStatus: number): boolean {
  if (outcome.kind === 'failed') return true;
  const { status } = outcome.reply;
  return status !== usualStatus && statuses.includes(status);
}

function wordsOf(outcome: Outcome): string {
  return outcome.kind === 'failed' ? outcome.reason : String(outcome.reply.status);
}
