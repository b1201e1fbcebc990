/** What listens for clients, of settings that are checked. */
import { resolve } from 'node:path';
import type { Settings } from '../core/settings.ts';
import type { CertificateSettings, PemSource } from '../front/certificates.ts';
import type { ListenerSettings } from '../front/listener.ts';
import type { LoadedConfig } from './load.ts';

/** The owner and the group. */
const socketModeDefault = '0660';

export function listenerSettings({ settings, directory, files }: LoadedConfig): ListenerSettings[] {
  return settings.listen.map(({ host, port, socket, socketMode = socketModeDefault, tls, http2 = true }, index) => ({
    at: socket === undefined ? { host, port } : { socket: resolve(directory, socket), mode: Number.parseInt(socketMode, 8) },
    tls: tls && certificatesOf(tls, directory, (name) => files.get(`listen[${index}].tls.${name}`)),
    http2: http2 && tls !== undefined,
    headerBytes: settings.limits.headerBytes,
  }));
}

function certificatesOf(
  { cert = '', key = '', folder, ca, clientCertificates }: NonNullable<Settings['listen'][number]['tls']>,
  directory: string,
  fileOf: (name: 'cert' | 'key') => string | undefined,
): CertificateSettings {
  const clients = ca === undefined ? undefined : { ca, required: clientCertificates !== 'request' };
  if (folder !== undefined) return { folder: resolve(directory, folder), clients };
  const source = (text: string, name: 'cert' | 'key'): PemSource => ({ text, file: fileOf(name) });
  return { cert: source(cert, 'cert'), key: source(key, 'key'), clients };
}
