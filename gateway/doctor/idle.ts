/** How long does it keep a connection on which nothing is asked? */
import type { Socket } from 'node:net';
import { targetChange } from '../config/change.ts';
import { seconds } from '../config/gateway-limits.ts';
import { toMs } from '../core/duration.ts';
import { connectionOptions } from '../core/headers.ts';
import type { Kept } from './asker.ts';
import { harmless, wordOf, type Examination } from './examination.ts';
import { finding, type Finding } from './finding.ts';

/** Ours must be shorter by so much: a request takes its time to get there. */
const marginMs = 500;
/** Nobody means so short a time for an idle one. */
const atOnceMs = 50;
const closesAlways = 'It closes each connection after its answer, so every message pays for a new one.';

/** Resolves when its request is answered; what that resolves to then takes up to `waitMs` more. @throws DoneAsking */
export async function watchIdle(examination: Examination, waitMs: number): Promise<{ readonly findings: Promise<Finding[]> }> {
  const { patient, asker } = examination;
  const kept = await asker.askAndKeep(await patient.draft(harmless), waitMs + 1000);
  return { findings: watched(examination, kept, waitMs).finally(kept.end) };
}

async function watched(examination: Examination, { outcome, socket }: Kept, waitMs: number): Promise<Finding[]> {
  if (outcome.kind === 'failed' || socket === undefined)
    return [finding('warning', 'idle', 'It did not answer a second request.')];
  const { signal } = examination.asker;
  const closedAfterMs = await timeToClose(socket, waitMs, signal);
  if (closedAfterMs === undefined && signal.aborted) return [finding('note', 'idle', 'Not looked at: the time was up.')];
  if (connectionOptions(outcome.reply.headers).has('close') || (closedAfterMs ?? waitMs) < atOnceMs)
    return [finding('warning', 'idle', closesAlways, wordOf(examination, 'idle'))];
  return [ofTime(examination, closedAfterMs, waitMs)];
}

/** Undefined: it was still open. A connection that is reset has been closed, too. */
function timeToClose(socket: Socket, waitMs: number, signal: AbortSignal): Promise<number | undefined> {
  const began = performance.now();
  return new Promise((resolve) => {
    const over = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', over);
      socket.off('close', over);
      resolve(socket.destroyed ? performance.now() - began : undefined);
    };
    const timer = setTimeout(over, waitMs);
    signal.addEventListener('abort', over);
    socket.once('close', over);
    if (socket.destroyed || signal.aborted) over();
  });
}

function ofTime(examination: Examination, closedAfterMs: number | undefined, waitMs: number): Finding {
  const { targetSettings, loaded, at } = examination.patient;
  const { idle } = targetSettings;
  const word = wordOf(examination, 'idle');
  if (closedAfterMs !== undefined && closedAfterMs < toMs(idle) + marginMs) {
    const wanted = seconds(
      closedAfterMs >= 2500 ? Math.floor((closedAfterMs - marginMs) / 1000) * 1000 : Math.floor(closedAfterMs / 2),
    );
    const detail = `It closes unused connections after ${shown(closedAfterMs)}, and ours are kept for ${idle}: requests meet connections that are gone.`;
    return finding('clash', 'idle', detail, { ...word, changes: [targetChange(loaded, at, 'idle', { now: idle, wanted })] });
  }
  if (closedAfterMs !== undefined)
    return finding('ok', 'idle', `It closes unused connections after ${shown(closedAfterMs)}; ours are kept for ${idle}.`);
  if (toMs(idle) < waitMs)
    return finding('ok', 'idle', `It keeps unused connections for more than ${seconds(waitMs)}; ours are kept for ${idle}.`);
  return finding(
    'note',
    'idle',
    `It keeps unused connections for at least ${seconds(waitMs)}, and ours are kept for ${idle}: --idle-wait looks longer.`,
  );
}

function shown(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
