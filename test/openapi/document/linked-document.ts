/** A document as it is after reading: parts that several others use are the same objects, and a `$ref` closes a circle. */
import { isMapping, type Mapping } from '../../../gateway/core/mapping.ts';
import type { DocumentFinding, SchemaSource } from '../../../openapi/document/document-finding.ts';

/** Any `$ref` in it is followed where it is asked for. */
export function linked(root: Mapping): SchemaSource {
  const target = (ref: string): unknown =>
    ref
      .replace(/^#\/?/, '')
      .split('/')
      .reduce<unknown>((part, name) => (name === '' || !isMapping(part) ? part : part[name]), root);
  return {
    root,
    target,
    follow: (value) => (isMapping(value) && typeof value['$ref'] === 'string' ? target(value['$ref']) : value),
  };
}

/** One line for each. */
export function told(findings: readonly DocumentFinding[]): string[] {
  return findings.map(({ key, at, message }) => `${key === undefined ? '' : `${key} (${at}) `}${message}`);
}
