/** A subscriber that writes down what it is given, and a shape that is easy to read: the content and a semicolon. */
import { Hub } from '../../gateway/channel/hub.ts';
import { channelName, newSessionId, type ChannelName } from '../../gateway/core/ids.ts';
import { silentLog, type Log } from '../../gateway/core/log.ts';
import type { CounterName } from '../../gateway/core/metrics.ts';
import type { MaybePromise } from '../../gateway/core/promise.ts';
import type {
  FilterAnswer,
  FilterQuestion,
  MessageFormat,
  Publication,
  Shape,
  Subscriber,
} from '../../gateway/core/publication.ts';
import { noMetadata, type Metadata } from '../../gateway/core/session.ts';

/** Counts how often it encodes. Content `refuse` has no bytes, `break` throws. */
export class PlainShape implements Shape {
  readonly format = 'message';
  readonly joins: boolean;
  encoded = 0;

  constructor({ joins = true } = {}) {
    this.joins = joins;
  }

  encode(publication: Publication): Buffer | undefined {
    const content = this.content(publication);
    if (content === undefined || content.equals(Buffer.from('refuse'))) return undefined;
    if (content.equals(Buffer.from('break'))) throw new Error('broken shape');
    this.encoded += 1;
    return Buffer.concat([content, Buffer.from(';')]);
  }

  content({ formats: { message } }: Publication): Buffer | undefined {
    return message?.action === 'send' ? message.content : undefined;
  }

  withContent(publication: Publication, content: Buffer): Publication {
    const { message } = publication.formats;
    return message?.action === 'send' ? { ...publication, formats: { message: { ...message, content } } } : publication;
  }
}

export const plainShape = new PlainShape();

interface Behaviour {
  readonly shape?: Shape;
  readonly meta?: Record<string, string>;
  readonly joined?: readonly string[];
  /** Runs inside each write, action and miss. */
  readonly inside?: (self: Recorder) => void;
  /** What the backend says to filters that ask; without it they may not. */
  readonly answer?: (question: FilterQuestion) => Promise<FilterAnswer>;
  /** Whether it takes no such write now, if it may be fetched later. */
  readonly refuses?: (text: string) => boolean;
}

export class Recorder implements Subscriber {
  readonly id = newSessionId();
  shape: Shape;
  readonly meta: Metadata;
  /** What it was given, one text per write; actions, items of their own and misses in angle brackets. */
  readonly given: string[] = [];
  readonly buffers: Buffer[] = [];
  /** The channel of each write. */
  readonly channels: ChannelName[] = [];
  items = 0;
  /** What filters have asked: the filter and the content. */
  readonly asked: string[] = [];
  readonly #answer: Behaviour['answer'];
  readonly #joined: readonly string[];
  readonly #inside: ((self: Recorder) => void) | undefined;
  readonly #refuses: (text: string) => boolean;

  constructor({ shape = plainShape, meta, joined = [], inside, answer, refuses }: Behaviour = {}) {
    this.shape = shape;
    this.meta = meta === undefined ? noMetadata : new Map(Object.entries(meta));
    this.#joined = joined;
    this.#inside = inside;
    this.#answer = answer;
    this.#refuses = refuses ?? (() => false);
  }

  /** Everything it was written, joined. */
  get text(): string {
    return this.given.join('');
  }

  joined(channel: string): boolean {
    return this.#joined.includes(channel);
  }

  write(bytes: Buffer, items: number, channel: ChannelName, follows: boolean): boolean {
    if (follows && this.#refuses(bytes.toString())) {
      this.given.push('<refused>');
      return false;
    }
    this.channels.push(channel);
    this.given.push(bytes.toString());
    this.buffers.push(bytes);
    this.items += items;
    this.#inside?.(this);
    return true;
  }

  act(publication: Publication): void {
    this.given.push(`<${this.shape.content(publication)?.toString() ?? publication.formats.message?.action}>`);
    this.#inside?.(this);
  }

  filterFailed(): void {}

  get asksFilters(): boolean {
    return this.#answer !== undefined;
  }

  askFilter(question: FilterQuestion): Promise<FilterAnswer> {
    this.asked.push(`${question.filter} ${question.content?.toString() ?? '-'}`);
    return this.#answer?.(question) ?? Promise.reject(new Error('Nobody can be asked.'));
  }

  missed(channel: ChannelName): void {
    this.given.push(`<missed in ${channel}>`);
    this.#inside?.(this);
  }
}

/** A hub with counters that can be read, one want at a time. */
export class TestHub extends Hub {
  readonly counted: Partial<Record<CounterName, number>>;
  /** How often each counter was called. */
  readonly calls: Partial<Record<CounterName, number>>;
  readonly wants: string[];
  readonly logged: string[];

  constructor(want: (name: ChannelName, wanted: boolean) => MaybePromise<void> = () => {}) {
    const counted: Partial<Record<CounterName, number>> = {};
    const calls: Partial<Record<CounterName, number>> = {};
    const wants: string[] = [];
    const logged: string[] = [];
    const note = (event: string): void => void logged.push(event);
    const log: Log = { ...silentLog, error: note, warn: note };
    super({
      want(name, wanted) {
        wants.push(`${wanted ? '+' : '-'}${name}`);
        return want(name, wanted);
      },
      log,
      metrics: {
        count(name, by = 1) {
          counted[name] = (counted[name] ?? 0) + by;
          calls[name] = (calls[name] ?? 0) + 1;
        },
      },
    });
    this.counted = counted;
    this.calls = calls;
    this.wants = wants;
    this.logged = logged;
  }
}

export const news = channelName('news');
export const sport = channelName('sport');

export function item(content: string, more: Partial<Publication> & { contentFilters?: readonly string[] } = {}): Publication {
  const { contentFilters, ...rest } = more;
  const message: MessageFormat = {
    action: 'send',
    type: 'text',
    content: Buffer.from(content),
    ...(contentFilters && { contentFilters }),
  };
  return { channel: news, meta: noMetadata, formats: { message }, ...rest };
}

/** An item whose content is its id. */
export function chained(id: string | undefined, previousId: string | undefined, more: Partial<Publication> = {}): Publication {
  return item(id ?? '-', { ...(id !== undefined && { id }), ...(previousId !== undefined && { previousId }), ...more });
}

export function action(message: MessageFormat): Publication {
  return { channel: news, meta: noMetadata, formats: { message } };
}

export const closeItem = action({ action: 'close', code: 1000, reason: '' });

/** Lets the loop turn. */
export async function turns(count = 1): Promise<void> {
  // oxlint-disable-next-line no-await-in-loop
  for (let i = 0; i < count; i += 1) await new Promise(setImmediate);
}
