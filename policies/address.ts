/** Lets in clients of certain addresses only, or keeps some out; behind proxies of ours by the address these tell. */
import { isIP } from 'node:net';
import { Type } from 'typebox';
import { addressList } from '../gateway/core/address-list.ts';
import { ForegateError } from '../gateway/core/errors.ts';
import { headerValues } from '../gateway/core/headers.ts';
import { definePolicy, deny, type Policy, type PolicyContext } from '../gateway/core/policy.ts';
import type { ClientRequest } from '../gateway/core/session.ts';

const AddressOptions = Type.Object(
  {
    allow: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description:
        'Addresses and ranges that are let in, of both families: `192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32`; without them, all that are not denied. IPv4 addresses are found in their IPv6-mapped form too.',
    }),
    deny: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description: 'Addresses and ranges that are kept out, whatever `allow` says. One of `allow` and `deny` is needed.',
    }),
    from: Type.Enum(['peer', 'forwarded'], {
      default: 'peer',
      description:
        'Whose address counts. `peer`: that of the connection, which behind a proxy is the proxy. `forwarded`: where the connection comes from one of `trustedProxies` (or from a gateway that signs), the last address in `X-Forwarded-For` that is none of these, or the first if all are; what others send is not read, also where `forwarded` believes everybody. A chain that holds something else than an address there is refused.',
    }),
  },
  { additionalProperties: false },
);

export const address = definePolicy({
  name: 'address',
  summary: 'Lets in clients of certain addresses only, or keeps some out.',
  options: AddressOptions,
  create({ allow, deny: denied, from }, { trusts }): Policy {
    if (allow.length + denied.length === 0)
      throw new ForegateError('bad-request', 'Give addresses or ranges in "allow" or in "deny".');
    const isAllowed = allow.length === 0 ? () => true : addressList(allow);
    const isDenied = addressList(denied);
    return {
      connect({ request }) {
        const client = from === 'peer' ? plainAddress(request.address) : toldAddress(request, trusts);
        return client === undefined || isDenied(client) || !isAllowed(client) ? refusal : undefined;
      },
    };
  },
});

const refusal = deny('forbidden', 'Clients of this address may not connect.');

/** From the end of the chain, where our own proxies wrote, to the first that is not ours: what stands before it is its word alone. */
function toldAddress(
  { address: peer, headers, fromGateway }: ClientRequest,
  trusts: PolicyContext['trusts'],
): string | undefined {
  let client = plainAddress(peer);
  if (client === undefined || (fromGateway !== true && !trusts(client))) return client;
  const chain = headerValues(headers, 'x-forwarded-for').flatMap((value) => value.split(','));
  for (const entry of chain.toReversed()) {
    const written = entry.trim();
    if (written === '') continue;
    client = plainAddress(written);
    if (client === undefined || !trusts(client)) return client;
  }
  return client;
}

/** Without port, brackets and zone; undefined for what is no address. */
function plainAddress(written: string): string | undefined {
  const [, inBrackets, beforePort] = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d{1,5})?$/.exec(written) ?? [];
  const [plain = ''] = (inBrackets ?? beforePort ?? written).split('%', 1);
  return isIP(plain) === 0 ? undefined : plain;
}
