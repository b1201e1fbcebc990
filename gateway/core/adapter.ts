/** What is known of one gateway, and how a route makes a profile of it. */
import type { GatewayExtensions } from './gateway-extensions.ts';
import type { GatewayFacts } from './gateway-facts.ts';
import type { Profile } from './profile.ts';
import type { RouteSettings } from './settings.ts';

/** What a route says of its adapter: checked and complete. */
export type AdapterSettings = RouteSettings['adapter'];

export interface Adapter {
  /** What `use` says. */
  readonly name: string;
  /** Header names, in lower case, that this gateway adds for its backends; a `*` at the end stands for any rest. */
  readonly identityHeaders: readonly string[];
  /** The field in which it looks for credentials unless it is told otherwise; undefined: there is no usual one. */
  readonly credentialHeader: string | undefined;
  /** Left out: nothing is known but that. */
  readonly facts?: GatewayFacts;
  /** Of OpenAPI documents. Left out: the gateway has none that are read. */
  readonly extensions?: GatewayExtensions;
  profile(settings: AdapterSettings): Profile;
}
