/** Filters of a subscription: they drop an item for one subscriber, or change its content (GRIP chapter 5). */
import type { AskingFilter, Publication, Shape, Subscriber, Subscription } from '../core/publication.ts';
import type { Metadata } from '../core/session.ts';

/** The one empty list of filters. */
export const noFilters: readonly string[] = [];

/** The current id that a subscriber has in a channel of this name, if it has one. */
export type CurrentIdOf = (subscriber: Subscriber, channel: string) => string | undefined;

type Filter = OwnFilter | { readonly changes: 'nothing' | 'content'; readonly asks: AskingFilter };
type OwnFilter = CheckFilter | ContentFilter;

interface CheckFilter {
  readonly changes: 'nothing';
  readonly asks?: undefined;
  passes(publication: Publication, subscription: Subscription): boolean;
}

interface ContentFilter {
  readonly changes: 'content';
  readonly asks?: undefined;
  /** Undefined where the content cannot be made: the item is dropped. */
  apply(content: Buffer, publication: Publication, subscription: Subscription, idOf: CurrentIdOf): Buffer | undefined;
}

const filters: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  [
    'skip-self',
    { changes: 'nothing', passes: (publication, { subscriber }) => !isSelf(publication, subscriber.meta.get('user')) },
  ],
  [
    'skip-users',
    { changes: 'nothing', passes: (publication, { subscriber }) => !isSkipped(publication, subscriber.meta.get('user')) },
  ],
  ['require-sub', { changes: 'nothing', passes: hasRequired }],
  ['build-id', { changes: 'content', apply: buildId }],
  ['var-subst', { changes: 'content', apply: substituteVariables }],
  ['http-check', { changes: 'nothing', asks: 'http-check' }],
  ['http-modify', { changes: 'content', asks: 'http-modify' }],
]);

/**
 * The publication as this subscription gets it, or undefined where it does not: dropped, the publisher's `content-filters` do not
 * fit, or a filter failed. Unknown names are ignored. Actions are not changed, only dropped. Filters that ask cannot do so here:
 * they drop the item, since it shall not go out unchecked.
 */
export function applyFilters(publication: Publication, subscription: Subscription, idOf: CurrentIdOf): Publication | undefined {
  const { shape } = subscription.subscriber;
  if (!contentFiltersFit(publication, shape, subscription.filters)) return tellMismatch(publication, subscription);
  const original = shape.content(publication);
  let content: Buffer | undefined | 'dropped' = original;
  for (const name of subscription.filters) {
    const filter = filters.get(name);
    if (filter === undefined) continue;
    if (filter.asks === undefined) content = applyFilter(name, filter, content, publication, subscription, idOf);
    else if (isItem(publication, shape)) return undefined;
    if (content === 'dropped') return undefined;
  }
  return withContent(publication, shape, original, content);
}

/**
 * The same where filters may ask the backend about the item; one after the other, since each gets what those before it have made.
 * @throws whatever {@link Subscriber.askFilter} throws
 */
export async function applyAskingFilters(
  publication: Publication,
  subscription: Subscription,
  idOf: CurrentIdOf,
): Promise<Publication | undefined> {
  const { subscriber } = subscription;
  const { shape } = subscriber;
  if (!contentFiltersFit(publication, shape, subscription.filters)) return tellMismatch(publication, subscription);
  const original = shape.content(publication);
  let content: Buffer | undefined | 'dropped' = original;
  for (const name of subscription.filters) {
    const filter = filters.get(name);
    if (filter === undefined) continue;
    if (filter.asks === undefined) content = applyFilter(name, filter, content, publication, subscription, idOf);
    else content = await ask(filter.asks, content, publication, subscriber);
    if (content === 'dropped') return undefined;
  }
  return withContent(publication, shape, original, content);
}

/** True where one of these filters asks the backend. */
export function namesAskingFilter(names: readonly string[]): boolean {
  return names.some((name) => filters.get(name)?.asks !== undefined);
}

/** True for what has content, false for an action such as `close`: nobody is asked about those. */
export function isItem(publication: Publication, shape: Shape): boolean {
  return publication.formats[shape.format]?.action === 'send';
}

async function ask(
  filter: AskingFilter,
  content: Buffer | undefined,
  publication: Publication,
  subscriber: Subscriber,
): Promise<Buffer | undefined | 'dropped'> {
  const answer = await subscriber.askFilter({ filter, publication, content });
  if (answer === 'drop') return 'dropped';
  return answer === 'pass' ? content : answer;
}

/** The content behind the filter. */
function applyFilter(
  name: string,
  filter: OwnFilter,
  content: Buffer | undefined,
  publication: Publication,
  subscription: Subscription,
  idOf: CurrentIdOf,
): Buffer | undefined | 'dropped' {
  if (filter.changes === 'nothing') return filter.passes(publication, subscription) ? content : 'dropped';
  if (content === undefined) return undefined;
  const made = filter.apply(content, publication, subscription, idOf);
  if (made === undefined) subscription.subscriber.filterFailed(() => `The filter '${name}' cannot be applied to the item.`);
  return made ?? 'dropped';
}

function tellMismatch({ formats }: Publication, { subscriber, filters: names }: Subscription): undefined {
  const format = formats[subscriber.shape.format];
  const wanted = format?.action === 'send' ? format.contentFilters : undefined;
  subscriber.filterFailed(
    () => `content filter mismatch: subscription=${changingOf(names).join(',')} message=${wanted?.join(',') ?? ''}`,
  );
}

function changingOf(names: readonly string[]): string[] {
  return names.filter((name) => filters.get(name)?.changes === 'content');
}

function withContent(
  publication: Publication,
  shape: Shape,
  original: Buffer | undefined,
  content: Buffer | undefined,
): Publication {
  return content === undefined || content === original ? publication : shape.withContent(publication, content);
}

/** A publisher's `content-filters` must equal, in order, the subscription's filters that change content; without them all fit. */
export function contentFiltersFit(publication: Publication, shape: Shape, names: readonly string[]): boolean {
  const format = publication.formats[shape.format];
  if (format?.action !== 'send' || format.contentFilters === undefined) return true;
  const changing = changingOf(names);
  return changing.length === format.contentFilters.length && changing.every((name, i) => name === format.contentFilters?.[i]);
}

function isSelf(publication: Publication, user: string | undefined): boolean {
  return user !== undefined && user !== '' && publication.meta.get('sender') === user;
}

function isSkipped(publication: Publication, user: string | undefined): boolean {
  if (user === undefined || user === '') return false;
  const users = publication.meta.get('skip_users')?.split(',') ?? [];
  return users.some((name) => name.trim() === user);
}

function hasRequired(publication: Publication, { subscriber }: Subscription): boolean {
  const required = publication.meta.get('require_sub');
  return required === undefined || required === '' || subscriber.joined(required);
}

/**
 * What `build-id` makes of a body that a hold or a link begins with: the form `%(text)I` alone works there, since no item and so
 * no id is at hand. Undefined where it cannot be made.
 */
export function buildBodyIds(body: Buffer, meta: Metadata): Buffer | undefined {
  return expandIds(body, meta, () => undefined);
}

/** `%I` is the subscriber's id, made after its `id_format`; `%(text)I` is the text. */
function buildId(
  content: Buffer,
  publication: Publication,
  { channel, subscriber }: Subscription,
  idOf: CurrentIdOf,
): Buffer | undefined {
  // The id of the item being delivered counts already.
  const idIn = (name: string): string | undefined => (name === channel ? publication.id : idOf(subscriber, name));
  return expandIds(content, subscriber.meta, (idFormat) => formatId(idFormat, idIn));
}

/** `makeId` makes the id that stands for `%I`, one character per byte. */
function expandIds(content: Buffer, meta: Metadata, makeId: (idFormat: string) => string | undefined): Buffer | undefined {
  const idFormat = meta.get('id_format');
  const encoding = meta.get('id_encoding');
  if (idFormat === undefined || (encoding !== undefined && encoding !== 'hex')) return undefined;
  return expand(content, (type, text) => {
    if (type !== 'I') return undefined;
    const id = text ?? makeId(idFormat);
    return encoding === 'hex' && id !== undefined ? Buffer.from(id, 'latin1').toString('hex') : id;
  });
}

function formatId(idFormat: string, idIn: (channel: string) => string | undefined): string | undefined {
  const made = expand(Buffer.from(idFormat), (type, name) => {
    const id = type === 's' && name !== undefined ? idIn(asText(name)) : undefined;
    return id === undefined ? undefined : asBytes(id);
  });
  return made?.toString('latin1');
}

function substituteVariables(content: Buffer, _publication: Publication, { subscriber }: Subscription): Buffer | undefined {
  return expand(content, (type, name) => {
    if (type !== 's' || name === undefined) return undefined;
    // Names of metadata are kept in lower case.
    const value = subscriber.meta.get(asText(name).toLowerCase());
    return value === undefined ? undefined : asBytes(value);
  });
}

/** The text that stands for a directive, one character per byte; undefined: there is no such directive. */
type Directive = (type: string, argument: string | undefined) => string | undefined;

const percent = 0x25;
/** `%x`, or `%(argument)x` with a backslash before characters that are to be taken as they are. */
const directivePattern = /%(?:\(([^\\)]*(?:\\[^][^\\)]*)*)\))?([^])/y;

/**
 * Replaces the directives of a format; `%%` is a percent sign. Undefined at the first that is unknown or cut short: going on would
 * cost quadratic time with hostile content. Works on Latin-1 text, so that bytes which are no UTF-8 come through.
 */
function expand(format: Buffer, directive: Directive): Buffer | undefined {
  if (!format.includes(percent)) return format;
  const text = format.toString('latin1');
  let made = '';
  let done = 0;
  for (let at = text.indexOf('%'); at >= 0; at = text.indexOf('%', done)) {
    directivePattern.lastIndex = at;
    const match = directivePattern.exec(text);
    if (match === null) return undefined;
    // The pattern is shared, and a directive may expand a format itself.
    const value = valueOf(match, directive);
    if (value === undefined) return undefined;
    made += text.slice(done, at) + value;
    done = at + match[0].length;
  }
  return Buffer.from(made + text.slice(done), 'latin1');
}

function valueOf([, argument, type = '']: RegExpExecArray, directive: Directive): string | undefined {
  if (type === '%' && argument === undefined) return '%';
  return directive(type, argument?.replaceAll(/\\([^])/g, '$1'));
}

/** UTF-8 with one character per byte. */
function asBytes(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function asText(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString();
}
