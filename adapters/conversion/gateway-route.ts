/** A route as every API gateway knows it: what is exported is written from this, and what is imported is read into it. */
export interface GatewayRoute {
  /**
   * The id of the route in `foregate.yaml`; names of entities of the gateway are made from it. Where it was read of a gateway, any
   * name: it is made fit and unique afterwards.
   */
  readonly id: string;
  /** Where the gateway listens, as Foregate reaches it: scheme, host and port. */
  readonly gateway: URL;
  /** Names that clients ask for, `*.example.com` for all below one; empty: any. */
  readonly hosts: readonly string[];
  /** The beginning of the path, in characters: `/chat` fits `/chatter` as well. */
  readonly path: string;
  /** True where nothing but requests with events comes: POST with `application/websocket-events`. */
  readonly eventsOnly: boolean;
  /** Scheme, host, port and path in front of that of the request; its path has no `/` at the end. */
  readonly backend: URL;
  /** `path` is cut off before that of `backend` is put in front. */
  readonly stripPath: boolean;
  readonly auth: GatewayAuth;
  readonly limits: readonly GatewayLimit[];
  /** Infinity where a gateway that was read has no limit; never when one is written. */
  readonly bodyBytes: number;
  /** The operator wants no larger ones; left out: `bodyBytes` is room that is needed. */
  readonly limitsBody?: boolean;
  /** Milliseconds until the backend is reached. */
  readonly connectMs: number;
  /** Milliseconds until the backend answers; less than Foregate waits. */
  readonly readMs: number;
}

export type GatewayAuth =
  | { readonly kind: 'none' }
  | { readonly kind: 'key'; readonly place: CredentialPlace; readonly hidden: boolean }
  | {
      readonly kind: 'jwt';
      readonly hidden: boolean;
      readonly issuer: string | undefined;
      readonly audience: string | undefined;
      readonly jwks: string | undefined;
    };

/** `name` as it is written; header fields have no case. */
export interface CredentialPlace {
  readonly in: 'header' | 'query';
  readonly name: string;
}

/** `count` requests in `windowSeconds`, at least one second. */
export interface GatewayLimit {
  readonly count: number;
  readonly windowSeconds: number;
  readonly by: 'caller' | 'address' | 'route';
}

/** Somebody whom the gateway knows. */
export interface GatewayCaller {
  readonly name: string;
  /** Undefined: it is not to be written, or not known. */
  readonly key: string | undefined;
}

/** All that a gateway is to do. */
export interface GatewayModel {
  /** Longer paths first, hosts before any: the order in which they are to be tried. */
  readonly routes: readonly GatewayRoute[];
  /** By name, each once. */
  readonly callers: readonly GatewayCaller[];
  /** Addresses and CIDR ranges of Foregate, whose `X-Forwarded-*` the gateway shall believe. */
  readonly trusted: readonly string[];
}

/** What is to be said of a route or of a file, for people. Never holds a secret. */
export interface Remark {
  /** The route, or what else it is about. */
  readonly about: string;
  /** `refused`: it cannot be said, and nothing is written; `tightened`: it is said more strictly; `told`: something to know. */
  readonly verdict: 'refused' | 'tightened' | 'told';
  readonly text: string;
}

export interface OutputFile {
  /** A path below the folder that is written to, with `/`. */
  readonly name: string;
  readonly content: string | Uint8Array;
  /** True for a file that belongs to the people who run the gateway, such as a list of keys: one that exists stays as it is. */
  readonly once?: boolean;
}

/** Writes the configuration of one gateway. */
export interface Exporter {
  /** What `foregate export` is told. */
  readonly name: string;
  /** One line for `--help`. */
  readonly summary: string;
  /** The same files for the same model: no time, no chance, sorted by name. Without a `refused` among the remarks all of it is said. */
  write(model: GatewayModel): { readonly files: readonly OutputFile[]; readonly remarks: readonly Remark[] };
}

export interface InputFile {
  /** As it was named. */
  readonly name: string;
  readonly text: string;
}

/** A route that was read, and what Foregate should know of it besides. */
export interface FoundRoute {
  readonly route: GatewayRoute;
  /** The gateway passed WebSockets through here: a route to begin with. */
  readonly webSockets: boolean;
}

/** Reads the configuration of one gateway. */
export interface Importer {
  readonly name: string;
  readonly summary: string;
  /** Where the gateway listens unless somebody says otherwise: `http://127.0.0.1:8000`. */
  readonly usualAddress: string;
  /**
   * All that is understood, and a remark for each thing that is not, with its place (`kong.yaml:12`). `gateway` is the address for
   * {@link GatewayRoute.gateway}. Never throws for what stands in the files.
   */
  read(files: readonly InputFile[], gateway: URL): ImportedModel;
}

export interface ImportedModel {
  /** In the order in which the gateway tries them. */
  readonly routes: readonly FoundRoute[];
  readonly callers: readonly GatewayCaller[];
  readonly remarks: readonly Remark[];
}
