/** The pattern fits the numbers up to the bound, and nothing else. */
import assert from 'node:assert/strict';
import { assert as holds, nat, property } from 'fast-check';
import { atMost } from '../../../adapters/apigee/at-most.ts';

describe('numbers up to a bound as a regular expression', () => {
  it('fits those and no others', () => {
    for (let bound = 1; bound <= 320; bound += 1) {
      const pattern = new RegExp(atMost(bound));
      for (let number = 0; number <= 1100; number += 1)
        assert.equal(pattern.test(String(number)), number <= bound, `${number} of ${bound}`);
    }
  });

  it('fits larger ones too', () => {
    const fits = (bound: number, number: number): boolean => new RegExp(atMost(bound)).test(String(number));
    holds(
      property(
        nat().filter((bound) => bound > 0),
        nat(),
        (bound, number) => fits(bound, number) === number <= bound,
      ),
    );
    holds(property(nat({ max: 2 ** 30 }), (bound) => fits(bound + 1, bound + 1) && !fits(bound + 1, bound + 2)));
  });

  it('fits nothing that is no number', () => {
    for (const text of ['', '-1', '+1', '1e1', '007', '1 ', '1,1', 'x']) assert.ok(!new RegExp(atMost(1000)).test(text), text);
  });
});
