/** The same chat room with `node:http` alone: all that a backend in any language has to do. It trusts whoever can reach it. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { buffer } from 'node:stream/consumers';

const headers = { 'Content-Type': 'application/websocket-events', 'Sec-WebSocket-Extensions': 'grip' };

export function createBackend({ controlUrl }: { readonly controlUrl: string }): Server {
  return createServer((request, response) => {
    const isOurs = request.headers['content-type'] === headers['Content-Type'] && /^\/chat(\?|$)/.test(request.url ?? '');
    const send = (events: string) => response.writeHead(200, headers).end(events, 'latin1');
    if (!isOurs || request.method !== 'POST') response.writeHead(404).end();
    else void answer(request, new URL('publish/', controlUrl)).then(send, () => response.writeHead(500).end());
  });
}

/** An event is `OPEN\r\n` or `TEXT 5\r\nhello\r\n`: type, length in hexadecimal, content. In Latin-1 a character is a byte. */
async function answer(request: IncomingMessage, publishUrl: URL): Promise<string> {
  const name = request.headers['x-consumer-username'] ?? 'guest';
  const items: object[] = [];
  let body = (await buffer(request)).toString('latin1');
  let events = '';
  while (body !== '') {
    const [head = '', type, hex] = /^([A-Z]+)(?: ([0-9a-f]+))?\r\n/.exec(body) ?? [];
    if (head === '') throw new Error('not a sequence of events');
    const end = head.length + Number.parseInt(hex ?? '0', 16);
    const content = body.slice(head.length, end);
    body = body.slice(hex === undefined ? end : end + 2);
    if (type === 'OPEN') events += 'OPEN\r\nTEXT 27\r\nc:{"type":"subscribe","channel":"room"}\r\n';
    if (type === 'PING' || type === 'CLOSE') events += head.replace('PING', 'PONG') + content + (hex === undefined ? '' : '\r\n');
    const message = JSON.stringify({ name, text: Buffer.from(content, 'latin1').toString() });
    if (type === 'TEXT') items.push({ channel: 'room', formats: { 'ws-message': { content: message } } });
  }
  const publish = { method: 'POST', body: JSON.stringify({ items }) };
  if (items.length > 0 && !(await fetch(publishUrl, publish)).ok) throw new Error('not published');
  return events;
}

if (process.argv[1] === import.meta.filename) createBackend({ controlUrl: 'http://127.0.0.1:5561/' }).listen(9000, '127.0.0.1');
