/** What a document is told of a route. */
import type { Mapping } from '../../gateway/core/mapping.ts';
import type { RouteSettings } from '../../gateway/core/settings.ts';

export interface DocumentedRoute {
  /** Checked and complete. */
  readonly settings: RouteSettings;
  /** Its policies with all their options. The schemas of `message-schema` stand in them (`inline`), wherever they were read from. */
  readonly checked: readonly Mapping[];
  /** As it is written, without its policies and without secrets: what can be read back. */
  readonly written: Mapping;
  /** Its policies in the same form, with the schemas of `message-schema`. */
  readonly policies: readonly Mapping[];
}

/** What is to be said of a route; never holds a secret. `refused`: it cannot be said, and there is no document. */
export interface DocumentRemark {
  /** The id of the route. */
  readonly about: string;
  readonly verdict: 'refused' | 'told';
  readonly text: string;
}
