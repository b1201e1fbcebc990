/** Lists of IP addresses and CIDR ranges, as trusted peers and address rules use them (RFC 4632, RFC 4291). */
import { BlockList, isIP } from 'node:net';
import { ForegateError } from './errors.ts';

/** Stands for the address of clients that come over a Unix socket: they have none. */
export const unixAddress = 'unix';

/**
 * Compiles addresses (`10.0.0.1`, `::1`) and ranges (`10.0.0.0/8`, `fd00::/8`) into a test; `unix` means Unix sockets. An IPv4 address is found in its
 * IPv6-mapped form too; anything that is no address is in no list.
 * @throws ForegateError `bad-request` that names the entry.
 */
export function addressList(entries: readonly string[]): (address: string) => boolean {
  if (entries.length === 0) return () => false;
  const list = new BlockList();
  const unix = entries.includes(unixAddress);
  for (const entry of entries) if (entry !== unixAddress) addEntry(list, entry);
  return (address) => {
    if (address === unixAddress) return unix;
    const plain = normalAddress(address);
    const family = familyOf(plain);
    return family !== undefined && list.check(plain, family);
  };
}

/** An IPv4 address that came through an IPv6 socket (`::ffff:10.0.0.1`) as plain IPv4; others unchanged. */
export function normalAddress(address: string): string {
  const rest = mappedPrefix.exec(address)?.[1];
  return rest !== undefined && isIP(rest) === 4 ? rest : address;
}

const mappedPrefix = /^::ffff:(.+)$/i;

function addEntry(list: BlockList, entry: string): void {
  const [written = '', prefix, ...rest] = entry.split('/');
  const address = normalAddress(written);
  const family = familyOf(address);
  if (family === undefined || rest.length > 0) throw invalid(entry);
  if (prefix === undefined) {
    list.addAddress(address, family);
    return;
  }
  // A range written in the mapped form counts its bits from the start of the IPv6 address.
  const bits = Number(prefix) - (address === written ? 0 : 96);
  if (!/^\d{1,3}$/.test(prefix) || bits < 0 || bits > (family === 'ipv4' ? 32 : 128)) throw invalid(entry);
  list.addSubnet(address, bits, family);
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const version = isIP(address);
  if (version === 0) return undefined;
  return version === 4 ? 'ipv4' : 'ipv6';
}

function invalid(entry: string): ForegateError {
  return new ForegateError('bad-request', `"${entry}" is not an IP address or a range such as 10.0.0.0/8.`);
}
