/**
 * The one way in which tests call the control API through supertest: each request and each answer is held against the document, by
 * the validator of Prism. `documentedCalls` sends what the document allows, `faultyCalls` what is meant to be wrong; the answers of
 * both must be documented ones.
 */
import assert from 'node:assert/strict';
import type { ClientRequest, Server } from 'node:http';
import { getHttpOperationsFromSpec } from '@stoplight/prism-http/dist/utils/operations.js';
import { validateInput, validateOutput } from '@stoplight/prism-http/dist/validator/index.js';
import supertest from 'supertest';
import { completeDocument } from '../openapi/control/complete-document.ts';

type Operation = Parameters<typeof validateInput>[0]['resource'];
type Method = 'get' | 'head' | 'post' | 'put' | 'delete' | 'patch' | 'options';
type Calls = Readonly<Record<Method, (path: string) => supertest.Test>>;

/** Requests must be as documented. */
export function documentedCalls(server: Server): Calls {
  return checkedCalls(server, (faults) => assert.deepEqual(faults, [], 'The document does not allow this request'));
}

/** Requests that are meant to be wrong: by the document, or because the API refuses them. */
export function faultyCalls(server: Server): Calls {
  return checkedCalls(server, (faults, status) =>
    assert.ok(faults.length > 0 || status >= 400, 'Nothing is wrong with this request'),
  );
}

function checkedCalls(server: Server, check: (faults: readonly string[], status: number) => void): Calls {
  const agent = supertest(server);
  const checkResponse = (response: supertest.Response): void => {
    const exchange = exchangeOf(response);
    check(requestFaults(exchange), response.status);
    assert.deepEqual(answerFaults(exchange), [], `The document does not know this answer: ${response.status} ${response.text}`);
  };
  const call = (method: Method) => (path: string) => agent[method](path).expect(checkResponse);
  return {
    get: call('get'),
    head: call('head'),
    post: call('post'),
    put: call('put'),
    delete: call('delete'),
    patch: call('patch'),
    options: call('options'),
  };
}

type Fields = Readonly<Record<string, string>>;

export interface Exchange {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Fields;
  readonly body: string | undefined;
  readonly answer: { readonly status: number; readonly headers: Fields; readonly text: string | undefined };
}

/** What is wrong with a request by the document; a path and method that it does not have are wrong. */
export function requestFaults({ method, path, headers, body }: Exchange): string[] {
  const { operation, documented } = operationOf(method, path);
  const [pathname = '', query = ''] = path.split(/\?(.*)/s);
  if (!isDecodable(pathname)) return ['The path cannot be decoded.'];
  const element = {
    method: operation.method as 'get',
    url: { path: withoutSlash(pathname), query: queryOf(new URLSearchParams(query)) },
    headers,
    body: readBody(body, 'application/json'),
  };
  return [...(documented ? [] : ['There is no such operation.']), ...faultsOf(validateInput({ resource: operation, element }))];
}

/** What is wrong with an answer by the document. */
export function answerFaults({ method, path, answer }: Exchange): string[] {
  const { operation } = operationOf(method, path);
  const { status: statusCode, headers, text } = answer;
  const body = readBody(text, headers['content-type'] ?? '');
  return faultsOf(validateOutput({ resource: operation, element: { statusCode, headers, body } }));
}

function isDecodable(pathname: string): boolean {
  try {
    return decodeURIComponent(pathname) !== '';
  } catch {
    return false;
  }
}

type Validated = ReturnType<typeof validateInput> | ReturnType<typeof validateOutput>;

function faultsOf(validated: Validated): string[] {
  return validated._tag === 'Right' ? [] : validated.left.map(({ message }) => message);
}

function exchangeOf(response: supertest.Response): Exchange {
  const { req: request } = response as unknown as { readonly req: ClientRequest };
  const sent: unknown = (response as unknown as { readonly request: { readonly _data?: unknown } }).request._data;
  return {
    method: request.method.toLowerCase(),
    path: request.path,
    headers: fieldsOf(request.getHeaders()),
    body: sent === undefined || typeof sent === 'string' ? sent : JSON.stringify(sent),
    answer: { status: response.status, headers: fieldsOf(response.headers), text: response.text },
  };
}

function fieldsOf(headers: object): Fields {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]));
}

function queryOf(parameters: URLSearchParams): Record<string, string | string[]> {
  return Object.fromEntries(
    [...new Set(parameters.keys())].map((name) => {
      const [first = '', ...more] = parameters.getAll(name);
      return [name, more.length === 0 ? first : [first, ...more]];
    }),
  );
}

/** JSON as its value; other text, and what is no JSON, as it is. */
function readBody(text: string | undefined, type: string): unknown {
  if (text === undefined || text === '' || !/[/+]json/.test(type)) return text === '' ? undefined : text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

// It follows the references in place.
const operations: readonly Operation[] = await getHttpOperationsFromSpec(structuredClone(completeDocument));

/** The operation a call is for, and whether the control document itself has it. */
function operationOf(method: string, path: string): { readonly operation: Operation; readonly documented: boolean } {
  const found = operations.find((operation) => operation.method === method && matches(operation.path, path));
  assert.ok(found, `${method} ${path}`);
  return { operation: found, documented: found.tags?.length !== 0 };
}

/** `/publish/` and `/` are not found with a query. */
function matches(template: string, path: string): boolean {
  const pathname = ['/publish/', '/recover/', '/'].includes(template) ? path : path.replace(/\?.*/, '');
  const pattern = withoutSlash(template)
    .replace('{rest}', '.*')
    .replace(/\{\w+\}/g, '[^/]+');
  return new RegExp(`^${pattern}$`).test(withoutSlash(pathname));
}

function withoutSlash(path: string): string {
  return path.replace(/(?<=.)\/$/, '');
}
