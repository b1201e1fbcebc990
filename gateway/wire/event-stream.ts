/** Event streams as text (WHATWG HTML, "Server-sent events"): only as much as Foregate adds of its own or has to know. */

/** A comment: it keeps the connection alive and means nothing to the client. */
export const heartbeat: Buffer = Buffer.from(':\n\n');

/** Asks the client to wait so long before it connects again. */
export function retryField(ms: number): Buffer {
  return Buffer.from(`retry: ${Math.round(ms)}\n\n`);
}

export function isEventStream(contentType: string | undefined): boolean {
  return contentType !== undefined && /^text\/event-stream\s*(?:;|$)/i.test(contentType.trim());
}

/**
 * The id that a client has after these bytes, one character per byte; undefined if they say nothing of it. Chunks around the
 * content do not matter, as their lines never begin with a field name. An id that is cut off does not count, nor one with NUL.
 */
export function lastEventId(bytes: Buffer): string | undefined {
  for (let at = bytes.lastIndexOf('id:'); at >= 0; at = at === 0 ? -1 : bytes.lastIndexOf('id:', at - 1)) {
    const id = startsLine(bytes, at) ? restOfLine(bytes, at + 'id:'.length) : undefined;
    if (id !== undefined && !id.includes('\0')) return id;
  }
  return undefined;
}

/** The data of each event in these bytes, which begin with a line; events without data are left out. An end that is cut off counts. */
export function eventData(bytes: Buffer): Buffer[] {
  const events: Buffer[] = [];
  const lines: string[] = [];
  // As Latin-1 no byte is lost. An empty line ends an event, as the end of the bytes does.
  for (const line of [...bytes.toString('latin1').split(/\r\n|\n|\r/), '']) {
    if (line === '' && lines.length > 0) events.push(Buffer.from(lines.splice(0).join('\n'), 'latin1'));
    const field = /^data(?:: ?(.*))?$/.exec(line);
    if (field !== null) lines.push(field[1] ?? '');
  }
  return events;
}

function startsLine(bytes: Buffer, at: number): boolean {
  return at === 0 || isLineEnd(bytes[at - 1]);
}

/** Without the one space that may follow the colon; undefined if the line does not end. */
function restOfLine(bytes: Buffer, start: number): string | undefined {
  let end = start;
  while (end < bytes.length && !isLineEnd(bytes[end])) end += 1;
  return end === bytes.length ? undefined : bytes.toString('latin1', start, end).replace(/^ /, '');
}

function isLineEnd(byte: number | undefined): boolean {
  return byte === 0x0a || byte === 0x0d;
}
