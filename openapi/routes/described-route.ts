/** What API documents say for `routes` of a configuration. */
import type { Mapping } from '../../gateway/core/mapping.ts';
import type { Path, PlaceInFile } from '../../gateway/core/problem.ts';
import type { DocumentFinding } from '../document/document-finding.ts';

export interface DescribedRoute {
  /** As it would stand in `routes` of foregate.yaml. */
  readonly settings: Mapping;
  /** Its answers are event streams. */
  readonly isStream: boolean;
  /** Where the part of it at this path was read, or the nearest part around. */
  locate(path: Path, at: 'key' | 'value'): PlaceInFile;
}

/** Policies of the control API that a document asks for. */
export interface DescribedPolicy {
  readonly settings: Mapping;
  locate(path: Path, at: 'key' | 'value'): PlaceInFile;
}

export interface Described {
  readonly routes: readonly DescribedRoute[];
  readonly controlPolicies: readonly DescribedPolicy[];
  /** What is wrong; then the rest may be incomplete. */
  readonly findings: readonly DocumentFinding[];
  /** What is right, and may surprise. */
  readonly remarks: readonly DocumentFinding[];
  /** Where what is wrong stands. */
  locate(finding: DocumentFinding): PlaceInFile;
  /** Parts of the settings that are the document's own, such as schemas: no variables are put into them. */
  isVerbatim(part: object): boolean;
}
