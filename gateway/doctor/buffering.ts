/** Does the beginning of an answer come before its end is written? */
import { wordOf, type BackendProbe } from './examination.ts';
import { finding } from './finding.ts';

/** The end is held back until the beginning has come, and no longer than this. */
const holdBackMs = 2000;

export const buffering: BackendProbe = async (examination, standIn) => {
  const { patient, asker } = examination;
  const draft = await patient.plainDraft();
  let release: (() => void) | undefined;
  let came = false;
  const { outcome, arrivals } = await standIn.see(
    asker,
    draft,
    (response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
      response.write(': the beginning\n\n');
      const timer = setTimeout(() => response.end(': the end\n\n'), holdBackMs);
      release = () => {
        clearTimeout(timer);
        response.end(': the end\n\n');
      };
    },
    {
      read: (piece) => {
        came ||= !piece.includes('the end');
        if (came) release?.();
      },
    },
  );
  if (outcome.kind === 'failed' || arrivals.length === 0)
    return [finding('note', 'buffering', 'A streamed answer to a GET did not come through.')];
  if (came) return [finding('ok', 'buffering', 'The beginning of a streamed answer comes at once.')];
  const detail =
    'The beginning of a streamed answer waits for its end. Held streams (Grip-Hold) do not care; a backend that streams itself does.';
  return [finding('warning', 'buffering', detail, wordOf(examination, 'buffering'))];
};
