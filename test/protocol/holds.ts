/** What tests of held requests need beside the stage: plain requests by raw sockets, answers read byte by byte, publications. */
import assert from 'node:assert/strict';
import type { BackendReply, BackendRequest } from '../support/backend.ts';
import type { RawSocket, ResponseHead } from '../support/raw-socket.ts';
import { eventually, setStage, type Stage, type StageTerms } from './stage.ts';

export interface HoldStage extends Stage {
  /** Sends a request on a connection of its own. */
  request(path: string, terms?: RequestTerms): Promise<RawSocket>;
  /** Publishes to a channel in the given formats. */
  item(channel: string, formats: object, item?: object): Promise<void>;
  /** `http-stream` content. */
  streamed(channel: string, content: string, item?: object): Promise<void>;
  /** `http-response` body. */
  answered(channel: string, body: string, item?: object): Promise<void>;
  /** Resolves when so many have joined the channel. */
  joined(channel: string, count?: number): Promise<void>;
  /** Requests of the backend for a path. */
  at(path: string): readonly BackendRequest[];
  recover(): Promise<void>;
}

export interface RequestTerms {
  readonly method?: string;
  readonly version?: '1.0' | '1.1';
  /** Lines without line ends; `Host` is there unless given here as an empty string. */
  readonly headers?: readonly string[];
  readonly host?: string;
  readonly body?: string;
}

export async function setHoldStage(terms: StageTerms): Promise<HoldStage> {
  const stage = await setStage(terms);
  const item: HoldStage['item'] = async (channel, formats, more = {}) => {
    const body = JSON.stringify({ items: [{ channel, ...more, formats }] });
    const response = await fetch(`${stage.controlUrl}/publish/`, { method: 'POST', body });
    assert.equal(response.status, 200, await response.text());
  };
  return {
    ...stage,
    request: async (path, requestTerms = {}) => {
      const socket = await stage.connect();
      socket.send(requestText(path, requestTerms));
      return socket;
    },
    item,
    streamed: (channel, content, more) => item(channel, { 'http-stream': { content } }, more),
    answered: (channel, body, more) => item(channel, { 'http-response': { body } }, more),
    joined: (channel, count = 1) => eventually(async () => (await stage.members(channel)) === count),
    at: (path) => stage.backend.requests.filter((request) => request.path === path),
    recover: async () => {
      const response = await fetch(`${stage.controlUrl}/recover/`, { method: 'POST' });
      assert.equal(response.status, 200);
    },
  };
}

export function requestText(path: string, terms: RequestTerms = {}): string {
  const { method = 'GET', version = '1.1', headers = [], host = 'client.example', body = '' } = terms;
  const lines = [`${method} ${path} HTTP/${version}`, ...headers];
  if (host !== '') lines.push(`Host: ${host}`);
  if (body !== '') lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

export interface WholeAnswer extends ResponseHead {
  readonly body: string;
}

/** Takes an answer with a length. */
export async function takeAnswer(socket: RawSocket, ms?: number): Promise<WholeAnswer> {
  const head = await socket.takeHead(ms);
  const bytes = Number(head.headers.get('content-length') ?? 0);
  return { ...head, body: (await socket.take(bytes, ms)).toString() };
}

/** Takes one chunk, exactly framed (RFC 9112 section 7.1); empty for the last. */
export async function takeChunk(socket: RawSocket, ms?: number): Promise<string> {
  const size = (await socket.takeUntil('\r\n', ms)).toString('latin1').slice(0, -2);
  assert.match(size, /^(0|[1-9a-f][0-9a-f]*)$/);
  const content = await socket.take(Number.parseInt(size, 16), ms);
  assert.equal((await socket.take(2, ms)).toString('latin1'), '\r\n');
  return content.toString();
}

/** Takes chunks until so many characters are there, however they were cut. */
export async function takeText(socket: RawSocket, text: string, ms?: number): Promise<void> {
  let taken = '';
  while (taken.length < text.length) {
    const part = await takeChunk(socket, ms);
    assert.notEqual(part, '', `the stream ended after ${JSON.stringify(taken)}`);
    taken += part;
  }
  assert.equal(taken, text);
}

/** A reply with a response hold. */
export function held(channels: string, more: Readonly<Record<string, string | string[]>> = {}, body = 'nothing\n'): BackendReply {
  return { headers: { 'Grip-Hold': 'response', 'Grip-Channel': channels, 'Content-Type': 'text/plain', ...more }, body };
}

/** A reply with a stream hold. */
export function stream(channels: string, more: Readonly<Record<string, string | string[]>> = {}, body = ''): BackendReply {
  return { headers: { 'Grip-Hold': 'stream', 'Grip-Channel': channels, 'Content-Type': 'text/plain', ...more }, body };
}

export function instruct(document: unknown, more: Readonly<Record<string, string>> = {}): BackendReply {
  const body = typeof document === 'string' ? document : JSON.stringify(document);
  return { headers: { 'Content-Type': 'application/grip-instruct', ...more }, body };
}

/** Answers by path; the query does not count. Anything else gets 404. */
export function byPath(
  answers: Readonly<
    Record<string, BackendReply | ((request: BackendRequest) => BackendReply | undefined | Promise<BackendReply | undefined>)>
  >,
) {
  return (request: BackendRequest): BackendReply | undefined | Promise<BackendReply | undefined> => {
    const answer = answers[request.path.split('?', 1)[0] ?? ''];
    return typeof answer === 'function' ? answer(request) : (answer ?? { status: 404 });
  };
}
