/**
 * Targets that may be reached at public addresses only (GRIP 7.1, `untrusted`). Node looks at the address it is about to connect to,
 * so a name that resolves to another one at the second try gains nothing.
 */
import net, { BlockList } from 'node:net';

/** Options of `net.connect` and of what stands on it. `tls.connect` does not heed them: it needs a {@link publicSocket}. */
export interface Reach {
  readonly blockList?: BlockList;
}

export function reachOf(publicOnly: boolean): Reach {
  return publicOnly ? { blockList: notPublic } : {};
}

/** A connection for TLS to stand on; it fails where the address is not public. */
export function publicSocket({ host, port }: Place): net.Socket {
  return net.connect({ host: host ?? '', port: Number(port), blockList: notPublic });
}

interface Place {
  readonly host?: string | null | undefined;
  readonly port?: number | string | null | undefined;
}

/** What the registries of special addresses (RFC 6890) keep from the public internet, and ways to wrap an IPv4 address. */
const ranges: readonly (readonly [subnet: string, prefix: number, family: 'ipv4' | 'ipv6'])[] = [
  ['0.0.0.0', 8, 'ipv4'], // this host
  ['10.0.0.0', 8, 'ipv4'], // private
  ['100.64.0.0', 10, 'ipv4'], // behind a provider's NAT
  ['127.0.0.0', 8, 'ipv4'], // loopback
  ['169.254.0.0', 16, 'ipv4'], // link-local, where clouds keep credentials
  ['172.16.0.0', 12, 'ipv4'], // private
  ['192.0.0.0', 24, 'ipv4'], // protocols
  ['192.0.2.0', 24, 'ipv4'], // documentation
  ['192.88.99.0', 24, 'ipv4'], // relays of 6to4
  ['192.168.0.0', 16, 'ipv4'], // private
  ['198.18.0.0', 15, 'ipv4'], // measurements
  ['198.51.100.0', 24, 'ipv4'], // documentation
  ['203.0.113.0', 24, 'ipv4'], // documentation
  ['224.0.0.0', 4, 'ipv4'], // multicast
  ['240.0.0.0', 4, 'ipv4'], // reserved, broadcast
  ['::', 96, 'ipv6'], // none, loopback, IPv4 as of old
  ['64:ff9b::', 96, 'ipv6'], // NAT64
  ['64:ff9b:1::', 48, 'ipv6'], // NAT64 of one's own
  ['100::', 64, 'ipv6'], // discarded
  ['2001::', 23, 'ipv6'], // protocols, Teredo
  ['2001:db8::', 32, 'ipv6'], // documentation
  ['2002::', 16, 'ipv6'], // 6to4
  ['3fff::', 20, 'ipv6'], // documentation
  ['5f00::', 16, 'ipv6'], // segment routing
  ['fc00::', 7, 'ipv6'], // private
  ['fe80::', 10, 'ipv6'], // link-local
  ['fec0::', 10, 'ipv6'], // site-local
  ['ff00::', 8, 'ipv6'], // multicast
];

const notPublic = new BlockList();
for (const [subnet, prefix, family] of ranges) notPublic.addSubnet(subnet, prefix, family);
