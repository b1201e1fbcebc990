/** The `x-kong-…` extensions of an OpenAPI document, as Kong's own converter reads them: what Kong does for an operation. */
import type { ExtendedOperation, GatewayExtensions, GatewayMember } from '../../gateway/core/gateway-extensions.ts';
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import { below, innermost, member, unread, type Found } from '../conversion/extension-levels.ts';
import { limitWords, windows } from './windows.ts';

const read = [
  'x-kong-name',
  'x-kong-tags',
  'x-kong-service-defaults',
  ...['key-auth', 'jwt', 'rate-limiting', 'request-size-limiting'].map((name) => `x-kong-plugin-${name}`),
];

export const kongExtensions: GatewayExtensions = {
  prefix: 'x-kong-',
  read: ({ levels }: ExtendedOperation) => ({
    members: [...serviceMembers(levels), ...authMembers(levels), ...limitMembers(levels), ...sizeMembers(levels)],
    remarks: unread(levels, 'x-kong-', read),
  }),
};

function plugin(levels: readonly Mapping[], name: string): Found<Mapping> | undefined {
  const found = innermost(levels, `x-kong-plugin-${name}`);
  return found?.value['enabled'] === false ? undefined : found;
}

function serviceMembers(levels: readonly Mapping[]): GatewayMember[] {
  const service = innermost(levels, 'x-kong-service-defaults');
  if (service === undefined) return [];
  const ms = (key: string): { found: Found | undefined; text: unknown } => {
    const found = below(service.value, key);
    return { found, text: typeof found?.value === 'number' ? `${found.value}ms` : undefined };
  };
  const [connect, answer] = [ms('connect_timeout'), ms('read_timeout')];
  return [
    ...member('backend', below(service.value, 'host'), backendOf(service.value)),
    ...member('connectTimeout', connect.found, connect.text),
    ...member('timeout', answer.found, answer.text),
  ];
}

function backendOf({ protocol = 'http', host, port, path = '' }: Mapping): unknown {
  const isWeb = protocol === 'http' || protocol === 'https';
  if (!isWeb || typeof host !== 'string' || typeof path !== 'string') return undefined;
  return `${protocol}://${host}${typeof port === 'number' ? `:${port}` : ''}${path.replace(/\/$/, '')}`;
}

function authMembers(levels: readonly Mapping[]): GatewayMember[] {
  const [key, jwt] = [plugin(levels, 'key-auth'), plugin(levels, 'jwt')];
  if (key === undefined) return member('auth', jwt, 'jwt');
  const names = below(key.value, 'config', 'key_names');
  const [name] = Array.isArray(names?.value) ? (names.value as readonly unknown[]) : [];
  const isQuery = below(key.value, 'config', 'key_in_header')?.value === false;
  const hides = below(key.value, 'config', 'hide_credentials');
  return [
    ...member('auth', key, 'key'),
    ...member('credential', names, typeof name === 'string' ? { [isQuery ? 'query' : 'header']: name } : undefined),
    ...member('hideCredential', hides ?? key, hides?.value === true),
  ];
}

function limitMembers(levels: readonly Mapping[]): GatewayMember[] {
  const config = below(plugin(levels, 'rate-limiting')?.value ?? {}, 'config');
  if (!isMapping(config?.value)) return [];
  const { limit_by: word = 'consumer' } = config.value;
  const by = Object.entries(limitWords).find(([, one]) => one === (word === 'credential' ? 'consumer' : word))?.[0];
  const found = [...windows].flatMap(([seconds, window]) => {
    const count = (config.value as Mapping)[window];
    return typeof count === 'number' ? [{ count, window: `${seconds}s`, by }] : [];
  });
  return by === undefined || found.length === 0 ? [] : member('limits', config, found);
}

const unitBytes: Readonly<Record<string, number>> = { bytes: 1, kilobytes: 1024, megabytes: 1024 ** 2 };

function sizeMembers(levels: readonly Mapping[]): GatewayMember[] {
  const config = plugin(levels, 'request-size-limiting')?.value ?? {};
  const size = below(config, 'config', 'allowed_payload_size');
  const unit = below(config, 'config', 'size_unit')?.value ?? 'megabytes';
  const factor = typeof unit === 'string' ? unitBytes[unit] : undefined;
  const bytes = typeof size?.value === 'number' && factor !== undefined ? size.value * factor : Number.NaN;
  return Number.isInteger(bytes) ? member('bodyBytes', size, bytes) : [];
}
