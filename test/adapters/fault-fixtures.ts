/** The replies in `test/fixtures/faults` and the table of what they mean. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { adapters } from '../../adapters/index.ts';
import type { Adapter } from '../../gateway/core/adapter.ts';
import type { Reply } from '../../gateway/core/exchange.ts';
import type { Fault, Profile } from '../../gateway/core/profile.ts';

export const faultFolder = join(import.meta.dirname, '../fixtures/faults');

interface Expected {
  /** `kong/no-key` */
  readonly name: string;
  readonly kind: string;
  /** Milliseconds, or `-`. */
  readonly wait: string;
  /** The adapter, where the reply shows that its gateway spoke; else `-`. */
  readonly by: string;
}

export function expectedFaults(): readonly Expected[] {
  const lines = readFileSync(join(faultFolder, 'expected.txt'), 'utf8').split('\n');
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [name = '', kind = '', wait = '', by = ''] = line.split(/ +/);
      return { name, kind, wait, by };
    });
}

/** What the adapter of its folder says about the bytes of a reply. */
export function readFault(name: string, bytes: Buffer): Fault {
  const adapter = adapters.find((one) => name.startsWith(`${one.name}/`));
  if (adapter === undefined) throw new Error(`There is no adapter for ${name}.`);
  return profileOf(adapter).fault(replyOf(bytes));
}

/** As a route gets it that says nothing but its name. */
export function profileOf(adapter: Adapter): Profile {
  return adapter.profile({ use: adapter.name, credentials: 'relay', prefix: '', links: 'bare' });
}

export function replyOf(bytes: Buffer): Reply {
  const end = bytes.indexOf('\r\n\r\n');
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const [, status = '', ...reason] = first.split(' ');
  const headers = lines.flatMap((line) => {
    const [name = '', ...value] = line.split(': ');
    return [name, value.join(': ')];
  });
  return { status: Number(status), reason: reason.join(' '), headers, body: bytes.subarray(end + 4) };
}
