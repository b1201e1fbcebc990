/** What the vendor extensions of an OpenAPI document say to the adapter of a gateway: what it does for an operation. */
import type { Mapping } from './mapping.ts';

/** A member of `adapter.gateway`, and where it was read. */
export interface GatewayMember {
  readonly key: string;
  readonly value: unknown;
  /** The mapping of the document, and its key. */
  readonly owner: object;
  readonly from: string;
}

/** An extension, or a part of one, that is not read as it is. */
export interface ExtensionRemark {
  readonly owner: object;
  readonly from: string;
  /** Follows the place: `is not read`. */
  readonly text: string;
}

export interface ReadExtensions {
  readonly members: readonly GatewayMember[];
  readonly remarks: readonly ExtensionRemark[];
}

/** One operation of a document. */
export interface ExtendedOperation {
  readonly path: string;
  readonly root: Mapping;
  /** The document, the path and the operation, of which the inner one wins. */
  readonly levels: readonly Mapping[];
}

export interface GatewayExtensions {
  /** What their names begin with: `x-kong-`. */
  readonly prefix: string;
  read(operation: ExtendedOperation): ReadExtensions;
}
