/** The certificate that a client showed in the TLS handshake, in parts that cannot be mistaken for one another. */
import type { PeerCertificate, TLSSocket } from 'node:tls';
import type { ClientCertificate } from '../core/session.ts';

const shown = new WeakMap<TLSSocket, ClientCertificate>();

/** Undefined unless there is one and the authority of the port has signed it; read once per connection. */
export function clientCertificate(socket: TLSSocket): ClientCertificate | undefined {
  // False also where no certificate was asked for: then nothing else is done.
  if (!socket.authorized) return undefined;
  const known = shown.get(socket);
  if (known !== undefined) return known;
  // A connection that goes on with an earlier one (TLS resumption) may have none.
  const certificate = parseCertificate(socket.getPeerCertificate());
  if (certificate !== undefined) shown.set(socket, certificate);
  return certificate;
}

function parseCertificate(peer: Partial<PeerCertificate> | undefined): ClientCertificate | undefined {
  const { subject, subjectaltname = '', fingerprint256, serialNumber, valid_to: validTo } = peer ?? {};
  if (fingerprint256 === undefined || serialNumber === undefined || validTo === undefined) return undefined;
  return {
    subject: Object.fromEntries(Object.entries(subject ?? {}).map(([name, value]) => [name, listOf(value)])),
    altNames: parseAltNames(subjectaltname),
    fingerprint256,
    serial: serialNumber,
    expiresAt: Date.parse(validTo),
  };
}

function listOf(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

const kinds = { DNS: 'dns', URI: 'uri', email: 'email', 'IP Address': 'ip' } as const;

/** Node writes a name that holds a comma or a quote as a JSON text, with the comma escaped: what is left of them separates names. */
function parseAltNames(text: string): ClientCertificate['altNames'] {
  return text.split(', ').flatMap((entry) => {
    const colon = entry.indexOf(':');
    const kind = kindOf(entry.slice(0, colon));
    const value = unquoted(entry.slice(colon + 1));
    return kind === undefined || value === undefined ? [] : [{ kind, value }];
  });
}

function kindOf(name: string): (typeof kinds)[keyof typeof kinds] | undefined {
  return Object.hasOwn(kinds, name) ? kinds[name as keyof typeof kinds] : undefined; // It was just looked up.
}

function unquoted(value: string): string | undefined {
  if (!value.startsWith('"')) return value;
  try {
    return String(JSON.parse(value));
  } catch {
    // Such a name proves nothing.
    return undefined;
  }
}
