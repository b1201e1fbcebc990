import assert from 'node:assert/strict';
import { documentedOperations, responseOf } from '../openapi/control/document-schemas.ts';
import { answerFaults, requestFaults, type Exchange } from './documented-calls.ts';

const good: Exchange = {
  method: 'post',
  path: '/refresh/',
  headers: { 'content-type': 'application/json', 'content-length': '12' },
  body: '{"cid":"s1"}',
  answer: { status: 200, headers: { 'content-type': 'application/json' }, text: '{"message":"Refreshed"}' },
};

const unauthorized = JSON.stringify({ type: 'about:blank', title: 'Unauthorized', status: 401, detail: 'No.' });

describe('the check of calls', () => {
  it('takes what is documented', () => {
    assert.deepEqual(requestFaults(good), []);
    assert.deepEqual(answerFaults(good), []);
  });

  for (const [name, change] of [
    ['a body that does not fit', { body: '{"cid":1}' }],
    ['no body where one is needed', { body: undefined, headers: {} }],
    ['a body that is no JSON', { body: '{' }],
    ['a media type that is not documented', { headers: { ...good.headers, 'content-type': 'text/plain' } }],
    ['a method that is not documented', { method: 'put' }],
    ['a path that is not documented', { path: '/refreshed' }],
    ['a query that does not fit', { method: 'get', path: '/connections?limit=0', body: undefined, headers: {} }],
    ['part of a path that does not fit', { method: 'get', path: '/docs/other.js', body: undefined, headers: {} }],
  ] as const) {
    it(`notices in a request ${name}`, () => {
      assert.notDeepEqual(requestFaults({ ...good, ...change }), []);
    });
  }

  for (const [name, change] of [
    ['a status that is not documented', { status: 299 }],
    ['a media type that is not documented', { headers: { 'content-type': 'text/plain' } }],
    ['a body that does not fit', { text: '{"message":1}' }],
    ['a body that is no JSON', { text: 'Refreshed' }],
    [
      'that a header field is missing',
      { status: 401, headers: { 'content-type': 'application/problem+json' }, text: unauthorized },
    ],
  ] as const) {
    it(`notices in an answer ${name}`, () => {
      assert.notDeepEqual(answerFaults({ ...good, answer: { ...good.answer, ...change } }), []);
    });
  }

  // A schema that the validator could not compile would let everything pass.
  for (const documented of documentedOperations()) {
    const { method, path, operation } = documented;
    it(`has a schema for each answer of ${method.toUpperCase()} ${path} in JSON`, () => {
      for (const status of Object.keys(operation.responses ?? {}).map(Number)) {
        for (const [type, { example }] of Object.entries(responseOf(documented, status)?.response.content ?? {})) {
          if (!type.endsWith('json')) continue;
          const headers = { 'content-type': type, 'www-authenticate': 'Bearer' };
          const faults = (value: unknown) =>
            answerFaults({ ...good, method, path, answer: { status, headers, text: JSON.stringify(value) } });
          assert.deepEqual(faults(example), [], `${status} ${type}`);
          assert.notDeepEqual(faults(5), [], `${status} ${type}`);
        }
      }
    });
  }
});
