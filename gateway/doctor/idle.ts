/** How long does it keep a connection on which nothing is asked? */
import { once } from 'node:events';
import { setTimeout as after } from 'node:timers/promises';
import { targetChange } from '../config/change.ts';
import { seconds } from '../config/gateway-limits.ts';
import { toMs } from '../core/duration.ts';
import { connectionOptions } from '../core/headers.ts';
import type { Kept } from './asker.ts';
import { harmless, wordOf, type Examination } from './examination.ts';
import { finding, type Finding } from './finding.ts';

/** Ours must be shorter by so much: a request takes its time to get there. */
const marginMs = 500;

/** Resolves when its request is answered; what that resolves to then takes up to `waitMs` more. @throws DoneAsking */
export async function watchIdle(examination: Examination, waitMs: number): Promise<{ readonly findings: Promise<Finding[]> }> {
  const { patient, asker } = examination;
  const kept = await asker.askAndKeep(await patient.draft(harmless), waitMs + 1000);
  return { findings: watched(examination, kept, waitMs).finally(kept.end) };
}

async function watched(examination: Examination, { outcome, socket }: Kept, waitMs: number): Promise<Finding[]> {
  if (outcome.kind === 'failed' || socket === undefined)
    return [finding('warning', 'idle', 'It did not answer a second request.')];
  if (connectionOptions(outcome.reply.headers).has('close'))
    return [
      finding(
        'warning',
        'idle',
        'It closes each connection after its answer, so every message pays for a new one.',
        wordOf(examination, 'idle'),
      ),
    ];
  const closedAfterMs = await timeToClose(socket, waitMs, examination.asker.signal);
  return [ofTime(examination, closedAfterMs, waitMs)];
}

/** Undefined: it was still open. */
async function timeToClose(socket: NodeJS.EventEmitter, waitMs: number, signal: AbortSignal): Promise<number | undefined> {
  const began = performance.now();
  const over = new AbortController();
  const until = AbortSignal.any([over.signal, signal]);
  const closed = once(socket, 'close', { signal: until }).then(() => performance.now() - began);
  const waited = after(waitMs, undefined, { signal: until });
  try {
    return await Promise.race([closed, waited]);
  } catch {
    return undefined; // The time for all is up.
  } finally {
    over.abort();
    await Promise.allSettled([closed, waited]);
  }
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
