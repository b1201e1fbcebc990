/** Does the gateway send a request again when the backend has read it and does not answer? */
import { harmless, wordOf, type BackendProbe } from './examination.ts';
import { finding } from './finding.ts';

export const resends: BackendProbe = async (examination, standIn) => {
  const { patient, asker } = examination;
  const word = wordOf(examination, 'resends');
  const cut = (response: { destroy(): unknown }): void => void response.destroy();
  const posts = (await standIn.see(asker, await patient.draft(harmless), cut)).arrivals.length;
  const gets = (await standIn.see(asker, await patient.plainDraft(), cut)).arrivals.length;
  return [
    posts > 1
      ? finding('clash', 'resends', `A POST whose answer breaks off arrives ${posts} times: messages are doubled.`, word)
      : finding('ok', 'resends', 'A POST whose answer breaks off arrives once.'),
    ...(gets > 1 ? [finding('note', 'resends', `A GET whose answer breaks off arrives ${gets} times.`, word)] : []),
  ];
};
