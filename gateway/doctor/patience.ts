/** How long does the gateway wait for its backend before it answers by itself? */
import { targetChange } from '../config/change.ts';
import { seconds } from '../config/gateway-limits.ts';
import { harmless, wordOf, type BackendProbe } from './examination.ts';
import { finding } from './finding.ts';

/** For the way there and back. */
const marginMs = 2000;
/** What the stand-in says in the end: no gateway says so by itself. */
const ownStatus = 418;

export const patience: BackendProbe = async (examination, standIn, { timeoutWaitMs }) => {
  const { patient, asker } = examination;
  const { targetSettings, target, loaded, at } = patient;
  const { timeout } = targetSettings;
  if (timeoutWaitMs === 0)
    return [finding('note', 'timeout', 'Not tried: --timeout-wait says how long an answer may be kept back for it.')];
  const waitMs = Math.min(timeoutWaitMs, target.timeoutMs);
  const timers: NodeJS.Timeout[] = [];
  const { outcome } = await standIn.see(
    asker,
    await patient.draft(harmless),
    (response) => void timers.push(setTimeout(() => response.writeHead(ownStatus, { 'Content-Length': 0 }).end(), waitMs)),
    { timeoutMs: waitMs + marginMs },
  );
  timers.forEach(clearTimeout);
  if (outcome.kind === 'reply' && outcome.reply.status === ownStatus)
    return [finding('ok', 'timeout', `It waits for its backend for ${seconds(waitMs)} and more; the timeout is ${timeout}.`)];
  if (outcome.kind === 'failed' && outcome.timedOut)
    return [finding('warning', 'timeout', `An answer that took ${seconds(waitMs)} did not come back.`)];
  const wanted = seconds(outcome.ms >= 1000 ? Math.floor(outcome.ms / 1000) * 1000 : outcome.ms);
  const said = outcome.kind === 'reply' ? `says ${outcome.reply.status} by itself` : 'breaks off';
  const detail = `It waits for its backend for ${(outcome.ms / 1000).toFixed(1)} s and then ${said}: the timeout ${timeout} is never reached, and what the backend says later is lost.`;
  const changes = [targetChange(loaded, at, 'timeout', { now: timeout, wanted })];
  return [finding('clash', 'timeout', detail, { ...wordOf(examination, 'timeout'), changes })];
};
