/** What a schema cannot say of adapters: which there are, and which of their options go together. */
import type { Adapter } from '../core/adapter.ts';
import { isHeaderName, isHeaderValue, normalName } from '../core/headers.ts';
import { isMapping, type Mapping } from '../core/mapping.ts';
import { didYouMean, finding, type Finding } from './report.ts';
import { isOurs, isUnread } from './rules.ts';
import type { Path } from '../core/problem.ts';

/** All findings about the adapters of a file in which short forms are written out. */
export function checkAdapters(file: Mapping, adapters: readonly Adapter[]): Finding[] {
  const routes = Array.isArray(file['routes']) ? (file['routes'] as unknown[]) : [];
  const places: (readonly [part: unknown, path: Path])[] = [
    [file['defaults'], ['defaults']],
    ...routes.map((route, index) => [route, ['routes', index]] as const),
  ];
  return places.flatMap(([part, path]) => checkAdapter(mapping(mapping(part)['adapter']), [...path, 'adapter'], adapters));
}

function checkAdapter(written: Mapping, path: Path, adapters: readonly Adapter[]): Finding[] {
  const { use } = written as { readonly use?: unknown };
  if (typeof use !== 'string' || use === '') return [];
  const known = adapters.find(({ name }) => name === use);
  if (known !== undefined)
    return [...checkTogether(written, path), ...checkPlaces(written, path, known), ...checkIdentity(written, path)];
  const names = adapters.map(({ name }) => name);
  return [
    finding(
      [...path, 'use'],
      `is not a known adapter: ${JSON.stringify(use)}${didYouMean(use, names) || `; adapters are ${names.join(', ')}`}`,
    ),
  ];
}

/** Options that do nothing would seem to do something. */
function checkTogether(written: Mapping, path: Path): Finding[] {
  const replaces = written['credentials'] === 'replace';
  if (replaces && !('secret' in written)) return [finding(path, 'replaces credentials, so it needs a "secret"')];
  const idle = replaces ? [] : ['secret', 'consumer'].map((key) => [key, '"credentials: replace"'] as const);
  const unmoved = isRelay(written) && !('from' in written) ? ['to', 'prefix'].map((key) => [key, '"from"'] as const) : [];
  const carried = written['credentials'] === 'none' && written['links'] === 'credentials';
  const without = carried ? [finding([...path, 'links'], 'has no credentials to carry with "credentials: none"')] : [];
  const useless = [...idle, ...unmoved].flatMap(([key, other]): Finding[] =>
    (written[key] ?? '') !== '' ? [{ path: [...path, key], message: `is of no use without ${other}`, at: 'key' }] : [],
  );
  return [...useless, ...without];
}

function checkPlaces(written: Mapping, path: Path, { name, identityHeaders, credentialHeader }: Adapter): Finding[] {
  const { to, consumer, prefix, secret } = written as Readonly<Record<'to' | 'consumer' | 'prefix' | 'secret', unknown>>;
  const isWanted = 'from' in written ? written['credentials'] !== 'none' : !isRelay(written);
  if (isWanted && to === undefined && credentialHeader === undefined)
    return [finding(path, `needs "to": where the gateway looks for credentials is not known of ${JSON.stringify(name)}`)];
  const vouches = typeof consumer === 'string' && identityHeaders.includes(consumer.toLowerCase());
  return [
    ...checkField(mapping(to)['header'], [...path, 'to', 'header']),
    ...(vouches ? [finding([...path, 'consumer'], `is a field that the gateway writes itself: ${consumer}`)] : []),
    ...(vouches ? [] : checkField(consumer, [...path, 'consumer'])),
    ...checkValue(prefix, [...path, 'prefix']),
    ...checkValue(secret, [...path, 'secret']),
  ];
}

function checkIdentity(written: Mapping, path: Path): Finding[] {
  if (!('identity' in written)) return [];
  const at = [...path, 'identity'];
  const { subject, groups, claims } = mapping(written['identity']) as Readonly<Record<'subject' | 'groups' | 'claims', unknown>>;
  const named = Object.entries(mapping(claims));
  if (subject === undefined && groups === undefined && named.length === 0) return [finding(at, 'names no header field')];
  return [
    ...checkField(subject, [...at, 'subject']),
    ...checkField(groups, [...at, 'groups']),
    ...named.flatMap(([claim, name]) => checkField(name, [...at, 'claims', claim])),
  ];
}

function checkField(name: unknown, path: Path): Finding[] {
  if (typeof name !== 'string' || name === '' || (isHeaderName(name) && !isOurs(normalName(name)))) return [];
  return [finding(path, `is not the name of a header field that can be set: ${JSON.stringify(name)}`)];
}

/** Values are not shown: they are credentials. */
function checkValue(value: unknown, path: Path): Finding[] {
  if (typeof value !== 'string' || isUnread(value) || isHeaderValue(value)) return [];
  return [finding(path, 'has characters that cannot stand in a header field')];
}

function isRelay({ credentials = 'relay' }: Mapping): boolean {
  return credentials === 'relay';
}

function mapping(value: unknown): Mapping {
  return isMapping(value) ? value : {};
}
