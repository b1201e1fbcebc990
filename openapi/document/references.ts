/** Which mappings with `$ref` are references (RFC 6901, JSON Reference), and which are only data that looks like one. */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { Path } from '../../gateway/core/problem.ts';

export interface Reference extends Mapping {
  readonly $ref: string;
}

export function isReference(value: unknown): value is Reference {
  return isMapping(value) && typeof value['$ref'] === 'string';
}

/** Members that are replaced together with the `$ref` beside them: OpenAPI 3.1 lets a reference be described anew. */
const descriptions: ReadonlySet<string> = new Set(['$ref', 'summary', 'description']);

/** False where more stands beside the `$ref`, which then holds as well. */
export function isPlainReference(value: Reference): boolean {
  return Object.keys(value).every((member) => descriptions.has(member));
}

/** What stands there is anybody's data. */
const dataMembers: ReadonlySet<unknown> = new Set(['example', 'value', 'default', 'const', 'enum']);

/** Mappings whose keys are names that somebody chose, or status codes: a response may be the `default` one. */
const naming: ReadonlySet<unknown> = new Set(
  [
    'properties patternProperties dependentSchemas $defs definitions mapping',
    'responses content callbacks links variables paths webhooks encoding',
    'client backend schemas parameters examples requestBodies headers',
    'securitySchemes pathItems channels operations messages servers messageTraits operationTraits replies replyAddresses',
  ].flatMap((names) => names.split(' ')),
);

/** Whether a part is data, by its key and those of what it is in. In AsyncAPI messages have payloads, and so have their examples. */
export function isData(path: Path): boolean {
  const [among, around, last] = [path.at(-3), path.at(-2), path.at(-1)];
  if (last === 'payload' || last === 'headers') return among === 'examples' && typeof around === 'number';
  return dataMembers.has(last) && !naming.has(around);
}

/** The same for a part anywhere below data. */
export function isBelowData(path: Path): boolean {
  return path.some((_, index) => isData(path.slice(0, index + 1)));
}
