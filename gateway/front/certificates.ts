/**
 * The certificates of a listener: one pair of certificate and key, or a folder with a pair for each host (GRIP 7.2,
 * `runner/https_ports`). Files are looked at all the time: a new pair holds from the next handshake on, connections stay, and a
 * pair that cannot be used changes nothing.
 */
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext, type SecureContext, type SecureContextOptions, type Server, type TlsOptions } from 'node:tls';
import { limits } from '../core/limits.ts';
import type { Log } from '../core/log.ts';

/** A PEM text, and the file it came from, if any. */
export interface PemSource {
  readonly text: string;
  readonly file?: string | undefined;
}

export type CertificateSettings = ({ readonly cert: PemSource; readonly key: PemSource } | { readonly folder: string }) & {
  /** Clients are asked for a certificate signed by this authority. */
  readonly clients?: { readonly ca: string; readonly required: boolean } | undefined;
};

export interface Certificates {
  /** For the server that is made. */
  readonly options: TlsOptions;
  /** Begins to look after the files; rejects if the folder cannot be read. */
  open(server: Server, port: number): Promise<void>;
  close(): void;
}

export function createCertificates(settings: CertificateSettings, log: Log): Certificates {
  const asked = askedOfClients(settings);
  return 'folder' in settings
    ? new FolderCertificates(settings.folder, asked, log)
    : new OnePair(settings.cert, settings.key, asked, log);
}

/** With each context too, since that of a host takes the place of the server's. */
function askedOfClients({ clients }: CertificateSettings): TlsOptions {
  return clients === undefined ? {} : { ca: clients.ca, requestCert: true, rejectUnauthorized: clients.required };
}

const lookEveryMs = 1000;

/** A certificate and its key. Those that are files are read again when they have changed. */
class Pair {
  readonly #sources: readonly [cert: PemSource, key: PemSource];
  readonly #asked: TlsOptions;
  readonly #log: Log;
  #stamp: string | undefined;
  #reading: Promise<boolean> | undefined;
  context: SecureContext | undefined;
  /** What the context was made of. */
  options: SecureContextOptions | undefined;

  constructor(cert: PemSource, key: PemSource, asked: TlsOptions, log: Log) {
    this.#sources = [cert, key];
    this.#asked = asked;
    this.#log = log;
  }

  /** Whether there is a new pair. Never rejects. */
  refresh(): Promise<boolean> {
    this.#reading ??= this.#refresh().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #refresh(): Promise<boolean> {
    // Before reading: what is written meanwhile makes another stamp.
    const stamp = (await Promise.all(this.#sources.map(stampOf))).join();
    if (stamp === this.#stamp) return false;
    this.#stamp = stamp;
    try {
      const [cert, key] = await Promise.all([readPem(this.#sources[0]), readPem(this.#sources[1])]);
      const options = { cert, key, ...(this.#asked.ca !== undefined && { ca: this.#asked.ca }) };
      this.context = createSecureContext(options);
      this.options = options;
      return true;
    } catch (error) {
      this.#log.warn('certificate.refused', { certificate: this.#sources[0].file, kept: this.context !== undefined, error });
      return false;
    }
  }
}

class OnePair implements Certificates {
  readonly options: TlsOptions;
  readonly #pair: Pair | undefined;
  #looking: NodeJS.Timeout | undefined;

  constructor(cert: PemSource, key: PemSource, asked: TlsOptions, log: Log) {
    this.options = { ...asked, cert: cert.text, key: key.text };
    const changes = cert.file !== undefined || key.file !== undefined;
    this.#pair = changes ? new Pair(cert, key, asked, log) : undefined;
  }

  async open(server: Server): Promise<void> {
    const pair = this.#pair;
    if (pair === undefined) return;
    const look = async (): Promise<void> => {
      if ((await pair.refresh()) && pair.options !== undefined) server.setSecureContext(pair.options);
    };
    await look();
    this.#looking = setInterval(() => void look(), lookEveryMs).unref();
  }

  close(): void {
    clearInterval(this.#looking);
  }
}

class FolderCertificates implements Certificates {
  readonly options: TlsOptions;
  readonly #folder: string;
  readonly #asked: TlsOptions;
  readonly #log: Log;
  #files: ReadonlySet<string> = new Set();
  /** Those that clients have asked for; the one used last stands last. */
  readonly #pairs = new Map<string, Pair>();
  /** For clients that name no host, or one of which there is no pair. */
  #default: { readonly name: string; readonly pair: Pair } | undefined;
  #looking: NodeJS.Timeout | undefined;
  #unreadable = false;

  constructor(folder: string, asked: TlsOptions, log: Log) {
    this.#folder = folder;
    this.#asked = asked;
    this.#log = log;
    this.options = { ...asked, SNICallback: (name, done) => void this.#choose(name, done) };
  }

  async open(server: Server, port: number): Promise<void> {
    await this.#look(server, port);
    const look = (): void => {
      this.#look(server, port).catch((error: unknown) => this.#fault(error));
    };
    this.#looking = setInterval(look, lookEveryMs).unref();
  }

  close(): void {
    clearInterval(this.#looking);
  }

  /** Without a context the default is taken, and without that the handshake fails with an alert. */
  async #choose(servername: string, done: (error: null, context: SecureContext | undefined) => void): Promise<void> {
    done(null, await this.#find(servername));
  }

  /** Names of clients only choose among the files that are there: they never become a path. */
  async #find(servername: string): Promise<SecureContext | undefined> {
    const name = servername.toLowerCase();
    if (!namePattern.test(name)) return undefined;
    for (const known of [name, name.replace(/^[^.]*(?=\.)/, '_')]) {
      const pair = this.#pairs.get(known) ?? this.#pairOf(known);
      if (pair === undefined) continue;
      this.#keep(known, pair);
      if (pair.context === undefined) await pair.refresh();
      if (pair.context !== undefined) return pair.context;
    }
    return undefined;
  }

  #pairOf(name: string): Pair | undefined {
    const [cert, key] = [`${name}.crt`, `${name}.key`];
    if (!this.#files.has(cert) || !this.#files.has(key)) return undefined;
    const source = (file: string): PemSource => ({ text: '', file: join(this.#folder, file) });
    return new Pair(source(cert), source(key), this.#asked, this.#log);
  }

  #keep(name: string, pair: Pair): void {
    this.#pairs.delete(name);
    this.#pairs.set(name, pair);
    const [oldest] = this.#pairs.keys();
    if (this.#pairs.size > limits.certificates && oldest !== undefined) this.#pairs.delete(oldest);
  }

  async #look(server: Server, port: number): Promise<void> {
    this.#files = new Set(await readdir(this.#folder));
    this.#unreadable = false;
    for (const [name, pair] of this.#pairs) {
      // One file alone is left while a pair is being replaced; none, when it was taken away.
      if (this.#files.has(`${name}.crt`) || this.#files.has(`${name}.key`)) await pair.refresh();
      else this.#pairs.delete(name);
    }
    await this.#lookForDefault(server, port);
  }

  /** The last one stays when it is taken away: better than none. */
  async #lookForDefault(server: Server, port: number): Promise<void> {
    for (const name of [`default_${port}`, 'default']) {
      const pair = this.#default?.name === name ? this.#default.pair : this.#pairOf(name);
      const isNew = (await pair?.refresh()) === true;
      if (pair?.options === undefined) continue;
      if (isNew) server.setSecureContext(pair.options);
      this.#default = { name, pair };
      return;
    }
  }

  /** Told once, until it can be read again. */
  #fault(error: unknown): void {
    if (!this.#unreadable) this.#log.warn('certificates.unreadable', { folder: this.#folder, error });
    this.#unreadable = true;
  }
}

const namePattern = /^[a-z0-9._-]{1,253}$/;

/** Changes with every change of the file; also of the one that a link points to. */
async function stampOf({ file }: PemSource): Promise<string> {
  if (file === undefined) return '';
  try {
    const { mtimeMs, ctimeMs, ino, size } = await stat(file);
    return `${mtimeMs} ${ctimeMs} ${ino} ${size}`;
  } catch {
    return 'none';
  }
}

async function readPem({ text, file }: PemSource): Promise<string> {
  return file === undefined ? text : readFile(file, 'utf8');
}
