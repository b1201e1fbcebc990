/** A regular expression for numbers up to a bound: whether Apigee compares a header field as a number or as a text is not certain. */

/** For positive bounds; fits decimal numbers without a zero in front. Each alternative is smaller than the bound at one digit. */
export function atMost(bound: number): string {
  const digits = String(bound);
  const smaller = digits.split('').flatMap((digit, at) => {
    const least = at === 0 ? 1 : 0;
    if (Number(digit) <= least) return [];
    return [`${digits.slice(0, at)}[${least}-${Number(digit) - 1}]${anyDigits(digits.length - at - 1)}`];
  });
  const shorter = digits.length === 1 ? ['0'] : [`0|[1-9][0-9]{0,${digits.length - 2}}`];
  return `^(${[...shorter, ...smaller, digits].join('|')})$`;
}

function anyDigits(count: number): string {
  return count === 0 ? '' : `[0-9]{${count}}`;
}
