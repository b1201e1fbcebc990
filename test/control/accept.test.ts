import assert from 'node:assert/strict';
import { acceptedForm } from '../../gateway/control/accept.ts';

describe('accepted form', () => {
  const cases: readonly (readonly [accept: string | undefined, form: 'text' | 'json' | undefined])[] = [
    [undefined, 'text'],
    ['*/*', 'text'],
    ['text/plain', 'text'],
    ['text/*', 'text'],
    ['Text/Plain; charset=utf-8', 'text'],
    ['application/json', 'json'],
    ['application/*', 'json'],
    ['application/json, text/plain', 'json'],
    ['text/plain, application/json', 'text'],
    ['text/plain;q=0.5, application/json', 'json'],
    ['text/plain ; Q=0.9 , application/json;q=0.8', 'text'],
    ['application/json, text/plain, */*', 'json'],
    ['text/html, application/json;q=0.1', 'json'],
    ['application/json;q=0', undefined],
    ['application/json;q=0, */*;q=0.1', 'text'],
    ['application/json;q=x', undefined],
    ['text/html', undefined],
    ['', undefined],
  ];
  for (const [accept, form] of cases) {
    it(`is ${form ?? 'none'} for ${accept ?? 'no Accept'}`, () => {
      assert.equal(acceptedForm(accept), form);
    });
  }
});
