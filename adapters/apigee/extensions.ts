/**
 * `x-google-…` of an OpenAPI document, as Google's gateways read them: what the gateway does for an operation. OpenAPI 3 names
 * backends and quotas under `x-google-api-management`; the older form has them where they are used, and under `x-google-management`.
 */
import type {
  ExtendedOperation,
  ExtensionRemark,
  GatewayExtensions,
  GatewayMember,
} from '../../gateway/core/gateway-extensions.ts';
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import { below, innermost, member, unread, type Found } from '../conversion/extension-levels.ts';

const prefix = 'x-google-';
const management = 'x-google-api-management';
const read = ['backend', 'api-management', 'management', 'quota', 'api-name'].map((name) => `${prefix}${name}`);

export const googleExtensions: GatewayExtensions = {
  prefix,
  read(operation: ExtendedOperation) {
    const { levels, root } = operation;
    const backend = backendOf(levels, root);
    // What stands in `security` is of the gateway only where it has the rest, too.
    const auth = backend.members.length === 0 ? [] : authMembers(root, levels.at(-1) ?? {});
    return {
      members: [...backend.members, ...auth, ...limitMembers(levels, root)],
      remarks: [...unread(levels, prefix, read), ...backend.remarks],
    };
  },
};

interface Backend {
  readonly members: readonly GatewayMember[];
  readonly remarks: readonly ExtensionRemark[];
}

/** A path is put behind the address of the whole document, and replaced by that of an operation, unless they say otherwise. */
function backendOf(levels: readonly Mapping[], root: Mapping): Backend {
  const name = `${prefix}backend`;
  const owner = levels.toReversed().find((level) => level[name] !== undefined);
  if (owner === undefined) return { members: [], remarks: [] };
  const said = owner[name];
  const backend = typeof said === 'string' ? below(root, management, 'backends', said)?.value : said;
  if (!isMapping(backend)) return { members: [], remarks: [{ owner, from: name, text: 'names no backend that is described' }] };
  const translation = backend['pathTranslation'] ?? backend['path_translation'];
  const isPrefix = translation === undefined ? owner === levels[0] : translation === 'APPEND_PATH_TO_ADDRESS';
  const address = below({ backend }, 'backend', 'address');
  const deadline = below({ backend }, 'backend', 'deadline');
  const waits = typeof deadline?.value === 'number' ? `${Math.round(deadline.value * 1000)}ms` : undefined;
  return {
    members: [
      ...member('backend', isPrefix ? address : undefined, String(address?.value).replace(/\/$/, '')),
      ...member('timeout', deadline, waits),
    ],
    remarks: isPrefix ? [] : [{ owner, from: name, text: 'has one address for all paths, which is not read' }],
  };
}

/** The first scheme of the first requirement. */
function authMembers(root: Mapping, operation: Mapping): GatewayMember[] {
  const owner = operation['security'] === undefined ? root : operation;
  const requirements: unknown = owner['security'];
  const [first] = Array.isArray(requirements) ? (requirements as readonly unknown[]) : [];
  const [name] = isMapping(first) ? Object.keys(first) : [];
  const security = { value: requirements, owner, from: 'security' };
  if (name === undefined) return requirements === undefined ? [] : member('auth', security, 'none');
  const scheme = below(root, 'components', 'securitySchemes', name)?.value;
  return isMapping(scheme) ? schemeMembers(scheme, security) : [];
}

function schemeMembers(scheme: Mapping, security: Found): GatewayMember[] {
  const { type, in: place, name } = scheme;
  const isKey = type === 'apiKey' && typeof name === 'string' && (place === 'header' || place === 'query');
  if (isKey)
    return [
      ...member('auth', security, 'key'),
      ...member('credential', { value: name, owner: scheme, from: 'name' }, { [place]: name }),
      ...member('hideCredential', security, false),
    ];
  const issuer = below({ scheme }, 'scheme', `${prefix}issuer`);
  const jwks = below({ scheme }, 'scheme', `${prefix}jwks_uri`);
  const audience = below({ scheme }, 'scheme', `${prefix}audiences`);
  if (issuer === undefined) return [];
  // Several stand in one text.
  const first = typeof audience?.value === 'string' ? audience.value.split(',')[0]?.trim() : undefined;
  const jwt = { issuer: issuer.value, ...(jwks && { jwks: jwks.value }), ...(first && { audience: first }) };
  return [...member('auth', security, 'jwt'), ...member('jwt', issuer, jwt), ...member('hideCredential', security, false)];
}

/** Each metric that an operation costs has limits, which count by the project of the caller's key, by the minute. */
function limitMembers(levels: readonly Mapping[], root: Mapping): GatewayMember[] {
  const quota = innermost(levels, `${prefix}quota`);
  const costs = quota && below(quota.value, 'metricCosts');
  if (costs === undefined || !isMapping(costs.value)) return [];
  const limits = Object.entries(costs.value).flatMap(([metric, cost]) =>
    quotas(root)
      .filter((one) => one['metric'] === metric)
      .flatMap((one) => limitOf(one, cost)),
  );
  return limits.length === 0 ? [] : member('limits', costs, limits);
}

function quotas(root: Mapping): readonly Mapping[] {
  const named = below(root, management, 'quota')?.value;
  const listed = below(root, `${prefix}management`, 'quota', 'limits')?.value;
  return [...(isMapping(named) ? Object.values(named) : []), ...(Array.isArray(listed) ? (listed as unknown[]) : [])].filter(
    isMapping,
  );
}

function limitOf({ values, unit = '1/min/{project}' }: Mapping, cost: unknown): object[] {
  const value = isMapping(values) ? values['STANDARD'] : values;
  if (typeof value !== 'number' || typeof cost !== 'number' || cost <= 0 || unit !== '1/min/{project}') return [];
  const count = Math.floor(value / cost);
  return count < 1 ? [] : [{ count, window: '60s', by: 'caller' }];
}
