/** What becomes of a request on its way to the backend, and of the backend's answer on its way back. */
import { fields, header, headerValues, isHopByHop, type HeaderList } from '../core/headers.ts';
import type { RequestDraft } from '../core/exchange.ts';
import { encodeEvents, eventsMediaType } from '../wire/websocket-events.ts';
import { webSocketOverHttp } from '../wire/websocket-over-http.ts';
import type { Outcome } from './asker.ts';
import { wordOf, type BackendProbe, type Examination } from './examination.ts';
import { finding, type Finding } from './finding.ts';
import { clientAddress, ownMeta } from './patient.ts';
import type { Arrival } from './stand-in.ts';

/** Without these there is no session: the backend cannot tell whose events they are, or that they are any. */
const needed: readonly string[] = ['connection-id', 'content-type', `meta-${ownMeta}`];
/** Where there is a key for it: without it such backends refuse all requests. */
const signatureField = 'grip-sig';
/** Looked at for themselves, or of one hop. */
const apart: readonly string[] = ['host', 'content-length', 'x-forwarded-for', 'x-real-ip', 'forwarded'];

const everyByte = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
/** As pings, which may have 125 bytes each. */
const everyBytePings = [0, 100, 200].map((from) => ({ kind: 'ping', data: everyByte.subarray(from, from + 100) }) as const);

export const hop: BackendProbe = async (examination, standIn) => {
  const { patient, asker } = examination;
  const draft = await patient.draft(everyBytePings);
  const isSigned = header(draft.headers, signatureField) !== undefined;
  if (!isSigned) draft.headers.push('Grip-Sig', 'foregate-doctor');
  const { outcome, arrivals } = await standIn.see(asker, draft, (response) => {
    response.writeHead(200, [...answerFields, 'Content-Type', eventsMediaType, 'Content-Length', String(answerBody.length)]);
    response.end(answerBody);
  });
  const [arrival] = arrivals;
  if (arrival === undefined) return undefined;
  const stranger = await patient.strangerDraft(everyBytePings);
  const secretNames = missing(draft.headers, stranger.headers).filter((name) => name !== signatureField);
  return [
    ...ofFields(draft, arrival, { secretNames, needed: isSigned ? [...needed, signatureField] : needed }),
    ...(secretNames.length === 0 ? [] : [ofCredential(secretNames, arrival)]),
    ofHost(examination, draft, arrival),
    ofAddress(examination, draft, arrival),
    ofBytes(draft, arrival),
    ofFraming(arrival),
    ofReply(outcome),
  ];
};

/** Names in lower case that the one has and the other has not. */
function missing(these: HeaderList, those: HeaderList): string[] {
  const names = [...fields(these)].map(([name]) => name.toLowerCase());
  return [...new Set(names)].filter((name) => header(those, name) === undefined);
}

function isOfInterest(name: string): boolean {
  return !apart.includes(name) && !isHopByHop(name);
}

interface FieldTerms {
  /** Those of the credential. */
  readonly secretNames: readonly string[];
  readonly needed: readonly string[];
}

/** Their names alone: a value may be anything. */
function ofFields({ headers: sent }: RequestDraft, { headers: got }: Arrival, terms: FieldTerms): Finding[] {
  const isPlain = (name: string): boolean => isOfInterest(name) && !terms.secretNames.includes(name);
  const gone = missing(sent, got).filter(isPlain);
  const kept = missing(sent, []).filter((name) => isPlain(name) && !gone.includes(name));
  const changed = kept.filter((name) => joined(sent, name) !== joined(got, name));
  const added = missing(got, sent).filter(isPlain);
  const lost = [...gone, ...changed].filter((name) => terms.needed.includes(name));
  const findings = [
    ...(lost.length === 0 ? [] : [finding('clash', 'fields', `The backend does not get our ${lost.join(', ')} as sent.`)]),
    ...listed('Removed on the way', gone, lost),
    ...listed('Changed on the way', changed, lost),
  ];
  if (findings.length === 0) findings.push(finding('ok', 'fields', 'All our fields arrive as they were sent.'));
  return added.length === 0 ? findings : [...findings, finding('note', 'fields', `Added on the way: ${added.join(', ')}.`)];
}

function listed(words: string, names: readonly string[], told: readonly string[]): Finding[] {
  const others = names.filter((name) => !told.includes(name));
  return others.length === 0 ? [] : [finding('note', 'fields', `${words}: ${others.join(', ')}.`)];
}

function joined(headers: HeaderList, lowerName: string): string {
  return headerValues(headers, lowerName).join(', ');
}

function ofCredential(names: readonly string[], { headers }: Arrival): Finding {
  const passed = names.filter((name) => header(headers, name) !== undefined);
  const detail =
    passed.length === 0
      ? 'The gateway keeps the credential to itself.'
      : `The backend gets the credential, too (${passed.join(', ')}).`;
  return finding('note', 'credentials', detail);
}

/** nginx's own `$host` has no port. */
function ofHost(examination: Examination, { headers: sent }: RequestDraft, { headers: got }: Arrival): Finding {
  const [ours, theirs] = [header(sent, 'host') ?? '', header(got, 'host') ?? ''];
  if (theirs === ours || theirs === ours.replace(/:\d+$/, ''))
    return finding('ok', 'host', `The backend gets our Host, ${theirs}.`);
  return finding('note', 'host', `The backend gets the Host ${theirs} in place of ${ours}.`, wordOf(examination, 'host'));
}

/** Only the end of the chain is the gateway's own; and a gateway that believes us names the client in `X-Real-IP`. */
function ofAddress(examination: Examination, { headers: sent }: RequestDraft, { headers }: Arrival): Finding {
  if (header(sent, 'x-forwarded-for') !== clientAddress)
    return finding('note', 'address', 'We do not begin X-Forwarded-For with the client here, so there is nothing to compare.');
  const chain = joined(headers, 'x-forwarded-for')
    .split(',')
    .map((entry) => entry.trim());
  const real = header(headers, 'x-real-ip');
  const word = wordOf(examination, 'trust');
  if (chain[0] !== clientAddress) {
    const what = chain[0] === '' ? 'gets no X-Forwarded-For' : 'gets an X-Forwarded-For that begins with another address';
    return finding(
      'warning',
      'address',
      `The backend ${what}: the gateway does not trust our address, and its limits by address count all clients as one.`,
      word,
    );
  }
  if (real !== undefined && real !== clientAddress)
    return finding(
      'warning',
      'address',
      'X-Forwarded-For arrives, but X-Real-IP is our own address: the gateway takes all clients for one.',
      word,
    );
  const unseen = real === undefined ? ' Whether the gateway counts by it does not show.' : '';
  return finding('ok', 'address', `The client's address arrives, first in X-Forwarded-For.${unseen}`);
}

function ofBytes({ body }: RequestDraft, arrival: Arrival): Finding {
  if (body?.equals(arrival.body) === true) return finding('ok', 'bytes', 'All 256 bytes arrive in a body as they were sent.');
  return finding(
    'clash',
    'bytes',
    `A body of ${body?.length ?? 0} bytes arrives as another one of ${arrival.body.length}: messages are damaged.`,
  );
}

function ofFraming({ headers, httpVersion }: Arrival): Finding {
  if (httpVersion === '1.0')
    return finding('note', 'framing', 'The backend gets HTTP/1.0: it cannot keep connections, nor stream through the gateway.');
  if (header(headers, 'content-length') !== undefined) return finding('ok', 'framing', 'The backend gets a Content-Length.');
  return finding('note', 'framing', 'The backend gets a chunked body without its length.');
}

/** All that a backend may tell us by. */
const answerFields: readonly string[] = Object.entries({
  'Sec-WebSocket-Extensions': 'grip; message-prefix=""',
  [`Set-Meta-${ownMeta}`]: 'kept',
  'Keep-Alive-Interval': '120',
  'Content-Bytes-Accepted': '0',
  'Grip-Channel': 'foregate-doctor',
  'Cache-Control': 'no-store',
}).flat();
const answerBody = encodeEvents([{ kind: 'binary', data: everyByte }]);

function ofReply(outcome: Outcome): Finding {
  if (outcome.kind === 'failed') return finding('clash', 'reply', `The backend's answer does not come back: ${outcome.reason}.`);
  const { reply } = outcome;
  if (!webSocketOverHttp.speaks(reply))
    return finding('clash', 'reply', `The backend's 200 with events comes back as ${reply.status}, or as another media type.`);
  if (!reply.body.equals(answerBody))
    return finding('clash', 'reply', "The body of the backend's answer is changed on the way back.");
  const names = missing(answerFields, []);
  const lost = names.filter((name) => joined(answerFields, name) !== joined(reply.headers, name));
  if (lost.length === 0) return finding('ok', 'reply', "The backend's answer comes back with all its fields and bytes.");
  return finding(
    lost.every((name) => name === 'cache-control') ? 'warning' : 'clash',
    'reply',
    `Of the backend's answer ${lost.join(', ')} does not come back as sent.`,
  );
}
