/** The channels of an AsyncAPI document, with the servers and operations that belong to each. */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { ApiDocument } from '../document/api-document.ts';
import type { DocumentFinding } from '../document/document-finding.ts';
import type { Origins } from '../document/origins.ts';

export interface DescribedChannel {
  readonly name: string;
  /** `channels`, in which it stands. */
  readonly channels: Mapping;
  readonly channel: Mapping;
  /** All its servers, whatever they speak. */
  readonly servers: readonly Mapping[];
  readonly operations: readonly ChannelOperation[];
}

export interface ChannelOperation {
  readonly name: string;
  /** Its traits are in it. */
  readonly operation: Mapping;
  /** Who sends the messages. `receive`: the application gets them, from clients. */
  readonly sender: 'client' | 'backend';
  readonly messages: readonly NamedMessage[];
}

export interface NamedMessage {
  /** Its key among the messages of the channel, or its own name. */
  readonly name: string;
  /** Its traits are in it. */
  readonly message: Mapping;
}

export interface ChannelsRead {
  readonly channels: readonly DescribedChannel[];
  readonly findings: readonly DocumentFinding[];
}

export function describedChannels(document: ApiDocument, origins: Origins): ChannelsRead {
  return new Channels(document, origins).read();
}

class Channels {
  readonly #root: Mapping;
  readonly #follow: ApiDocument['follow'];
  readonly #origins: Origins;
  readonly #findings: DocumentFinding[] = [];

  constructor({ root, follow }: ApiDocument, origins: Origins) {
    this.#root = root;
    this.#follow = follow;
    this.#origins = origins;
  }

  read(): ChannelsRead {
    const operations = this.#members(this.#root, 'operations');
    const channels = this.#members(this.#root, 'channels').map(({ key, owner, value: channel }): DescribedChannel => ({
      name: key,
      channels: owner,
      channel,
      servers: this.#servers(channel),
      operations: operations.flatMap(({ key: name, value }) => this.#operationOf(channel, name, value)),
    }));
    return { channels, findings: this.#findings };
  }

  /** The mappings under a key; what is none is told. */
  #members(part: Mapping, name: string): { readonly key: string; readonly owner: Mapping; readonly value: Mapping }[] {
    const owner = this.#follow(part[name]);
    if (owner === undefined) return [];
    if (!isMapping(owner)) {
      this.#findings.push({ owner: part, key: name, at: 'value', message: 'must be a mapping' });
      return [];
    }
    return Object.keys(owner).flatMap((key) => {
      const value = this.#follow(owner[key]);
      if (isMapping(value)) return [{ key, owner, value }];
      if (!key.startsWith('x-')) this.#findings.push({ owner, key, at: 'value', message: 'must be a mapping' });
      return [];
    });
  }

  /** Those that it names; else all. */
  #servers(channel: Mapping): Mapping[] {
    const all = this.#members(this.#root, 'servers').map(({ value }) => value);
    const named = this.#list(channel, 'servers');
    return named.length === 0 ? all : named;
  }

  #list(part: Mapping, name: string): Mapping[] {
    const list = this.#follow(part[name]);
    if (list === undefined) return [];
    if (Array.isArray(list)) return list.map((value) => this.#follow(value)).filter(isMapping);
    this.#findings.push({ owner: part, key: name, at: 'value', message: 'must be a list' });
    return [];
  }

  #operationOf(channel: Mapping, name: string, operation: Mapping): ChannelOperation[] {
    const whole = this.#withTraits(operation);
    const sender = senders.get(whole['action']);
    const own = this.#follow(whole['channel']) === channel;
    if (own && sender === undefined)
      this.#findings.push({ owner: operation, key: 'action', at: 'value', message: 'must be send or receive' });
    const reply = this.#follow(whole['reply']);
    const replyChannel = isMapping(reply) ? this.#follow(reply['channel'] ?? whole['channel']) : undefined;
    if (sender === undefined) return [];
    const made = (by: 'client' | 'backend', from: Mapping): ChannelOperation => ({
      name,
      operation: whole,
      sender: by,
      messages: this.#messages(channel, from),
    });
    const answering = sender === 'client' ? 'backend' : 'client';
    return [
      ...(own ? [made(sender, whole)] : []),
      ...(isMapping(reply) && replyChannel === channel ? [made(answering, reply)] : []),
    ];
  }

  /** Those that are listed; without a list all of the channel. */
  #messages(channel: Mapping, from: Mapping): NamedMessage[] {
    const known = this.#members(channel, 'messages');
    const listed = from['messages'] === undefined ? known.map(({ value }) => value) : this.#list(from, 'messages');
    return listed.map((message) => {
      const name = known.find(({ value }) => value === message)?.key ?? nameOf(message);
      return { name, message: this.#withTraits(message) };
    });
  }

  /** What a part says itself wins over its traits. */
  #withTraits(part: Mapping): Mapping {
    const traits = this.#list(part, 'traits');
    return traits.length === 0 ? part : (this.#origins.merged([...traits, part]) ?? part);
  }
}

function nameOf({ name }: Mapping): string {
  return typeof name === 'string' ? name : 'message';
}

const senders: ReadonlyMap<unknown, 'client' | 'backend'> = new Map([
  ['receive', 'client'],
  ['send', 'backend'],
]);
