/** What no schema can say of `listen`: a port or a socket, and certificates that can be used, looked at where they are. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { isMapping, type Mapping } from '../core/mapping.ts';
import { finding, type Finding } from './report.ts';
import type { Path } from '../core/problem.ts';

/** `sun_path` of Linux has 108 bytes, with the one that ends it. */
const socketPathBytes = 107;

/** Findings about `listen` of a file as it was written; relative paths start from `directory`. */
export function checkListeners(file: Mapping, directory: string): Finding[] {
  const entries = Array.isArray(file['listen']) ? (file['listen'] as unknown[]) : [];
  return entries.flatMap((entry, index) => {
    if (!isMapping(entry)) return [];
    const path = ['listen', index];
    const tls = isMapping(entry['tls']) ? entry['tls'] : undefined;
    return [
      ...checkPlace(entry, path, directory),
      ...checkTwice(entries, index, directory),
      ...(tls === undefined ? [] : checkTls(tls, [...path, 'tls'], directory)),
      ...(entry['http2'] === true && tls === undefined ? [finding([...path, 'http2'], 'needs "tls"')] : []),
    ];
  });
}

function checkPlace(entry: Mapping, path: Path, directory: string): Finding[] {
  const { socket } = entry as { readonly socket?: unknown };
  if (socket === undefined) return 'socketMode' in entry ? [finding([...path, 'socketMode'], 'needs a "socket" beside it')] : [];
  const beside = ['host', 'port'].filter((key) => key in entry);
  const tooLong = typeof socket === 'string' && Buffer.byteLength(resolve(directory, socket)) > socketPathBytes;
  return [
    ...beside.map((key): Finding => ({
      path: [...path, key],
      message: 'stands beside "socket"; a listener has one or the other',
      at: 'key',
    })),
    ...(tooLong ? [finding([...path, 'socket'], `must be at most ${socketPathBytes} bytes long as a full path`)] : []),
  ];
}

function checkTwice(entries: readonly unknown[], index: number, directory: string): Finding[] {
  const places = entries.map((entry) => {
    const socket = isMapping(entry) ? entry['socket'] : undefined;
    return typeof socket === 'string' ? resolve(directory, socket) : undefined;
  });
  if (places[index] === undefined || places.indexOf(places[index]) === index) return [];
  return [finding(['listen', index, 'socket'], 'is taken by another listener of this file')];
}

function checkTls(tls: Mapping, path: Path, directory: string): Finding[] {
  const { cert, key, folder } = tls as { readonly cert?: unknown; readonly key?: unknown; readonly folder?: unknown };
  if (folder === undefined && (cert === undefined || key === undefined))
    return [finding(path, 'needs "cert" and "key", or "folder"')];
  if (folder === undefined) return typeof cert === 'string' && typeof key === 'string' ? checkPair(cert, key, path) : [];
  if (cert !== undefined || key !== undefined)
    return [{ path: [...path, 'folder'], message: 'stands beside "cert" or "key"; a listener has one or the other', at: 'key' }];
  return typeof folder === 'string' ? checkFolder(folder, [...path, 'folder'], directory) : [];
}

/** A file that could not be read is reported already. */
function checkPair(cert: string, key: string, path: Path): Finding[] {
  if (!cert.includes('-----BEGIN') || !key.includes('-----BEGIN') || isPair(cert, key)) return [];
  return [finding(path, 'has a "cert" and a "key" that cannot be used together')];
}

function isPair(cert: string, key: string): boolean {
  try {
    createSecureContext({ cert, key });
    return true;
  } catch {
    return false;
  }
}

/** One certificate is enough: the others may come while it runs. */
function checkFolder(folder: string, path: Path, directory: string): Finding[] {
  const full = resolve(directory, folder);
  const named = JSON.stringify(folder);
  try {
    const names = readdirSync(full).flatMap((file) => (file.endsWith('.crt') ? [file.slice(0, -'.crt'.length)] : []));
    if (names.some((name) => isReadablePair(join(full, name)))) return [];
    return [finding(path, `names the folder ${named}, which has no certificate that can be used: HOST.crt with HOST.key`)];
  } catch {
    return [finding(path, `names the folder ${named}, which cannot be read`)];
  }
}

function isReadablePair(start: string): boolean {
  try {
    return isPair(readFileSync(`${start}.crt`, 'utf8'), readFileSync(`${start}.key`, 'utf8'));
  } catch {
    return false;
  }
}
