/**
 * The control document, and beside its operations what its descriptions say of all others: methods that a path does not take, and
 * paths that are not there. Those have no tags.
 */
import { controlDocument } from '../../../openapi/control/control-document.ts';

/** By status. */
type Responses = Readonly<Record<string, object>>;
interface Operation {
  readonly tags: readonly string[];
  readonly responses: Responses;
}

const methods = ['get', 'head', 'post', 'put', 'delete', 'patch', 'options'] as const;
const shared = (name: string) => ({ $ref: `#/components/responses/${name}` });
const refusals = { '401': shared('Unauthorized'), '403': shared('Forbidden') };

export const completeDocument = {
  ...controlDocument,
  paths: {
    ...Object.fromEntries(
      Object.entries(controlDocument.paths ?? {}).map(([path, item]) => [path, { ...otherMethods(path, item), ...item }]),
    ),
    '/{rest}': eachMethod({ ...refusals, '404': shared('NotFound') }),
  },
};

function otherMethods(path: string, item: object | undefined): Readonly<Record<string, Operation>> {
  const { get, post } = item as Partial<Record<'get' | 'post', Operation>>;
  // Answered in lines of text, whatever the method.
  const text = path === '/publish/' || path === '/recover/' ? post?.responses : undefined;
  const others = { ...refusals, '405': shared('MethodNotAllowed'), ...text, ...(path === '/' && get?.responses) };
  return { ...eachMethod(others), ...(get && { head: { ...get, responses: withoutBodies(get.responses) } }) };
}

function eachMethod(responses: Responses): Readonly<Record<string, Operation>> {
  const operation = { tags: [], responses };
  return {
    ...Object.fromEntries(methods.map((name) => [name, operation])),
    head: { tags: [], responses: withoutBodies(responses) },
  };
}

function withoutBodies(responses: Responses): Responses {
  return Object.fromEntries(Object.keys(responses).map((status) => [status, { description: 'Without its body.' }]));
}
