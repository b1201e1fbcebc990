/** `x-foregate-messages` of a document, its paths and operations, as policies of routes and of the control API. */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { ApiDocument } from '../document/api-document.ts';
import type { DocumentFinding } from '../document/document-finding.ts';
import { messagePolicies, readMessages } from './messages.ts';
import type { Origin, Origins } from '../document/origins.ts';

const name = 'x-foregate-messages';

interface MessagesRead {
  readonly policies: readonly Mapping[];
  readonly findings: readonly DocumentFinding[];
}

const none: MessagesRead = { policies: [], findings: [] };

export class MessageReader {
  readonly #document: ApiDocument;
  readonly #origins: Origins;
  /** By extensions: many operations may share one, and its schemas. */
  readonly #read = new Map<Mapping, MessagesRead>();
  readonly #control: Mapping[] = [];

  constructor(document: ApiDocument, origins: Origins) {
    this.#document = document;
    this.#origins = origins;
  }

  read(levels: readonly Mapping[]): MessagesRead {
    const extension = this.#origins.merged(levels.map((level) => this.#document.follow(level[name])));
    if (extension === undefined) return none;
    const known = this.#read.get(extension);
    // What is wrong is told once.
    if (known !== undefined) return { ...known, findings: [] };
    const owner = levels.toReversed().find((level) => isMapping(this.#document.follow(level[name]))) ?? extension;
    const read = this.#make(extension, { owner, key: name });
    this.#read.set(extension, read);
    return read;
  }

  /** For publishers, as far as the extensions that were read speak of them. */
  controlPolicies(): readonly Mapping[] {
    return this.#control;
  }

  #make(extension: Mapping, origin: Origin): MessagesRead {
    const { messages, findings } = readMessages(extension, this.#document);
    if (findings.length > 0) return { policies: [], findings };
    const made = messagePolicies(messages, this.#document);
    const placed = (policy: Mapping): Mapping =>
      this.#origins.verbatim(
        this.#origins.mapping(
          Object.entries(policy).map(([key, value]) => ({ key, value, origin: this.#originOf(extension, key, policy, origin) })),
        ),
      );
    this.#control.push(...made.control.map(placed));
    return { policies: made.route.map(placed), findings: made.findings };
  }

  /** The schemas are those of `client` or `backend`. */
  #originOf(extension: Mapping, key: string, policy: Mapping, whole: Origin): Origin {
    const member = key === 'schemas' ? String(policy['from']) : key;
    return member in extension ? this.#origins.of(extension, member) : whole;
  }
}
