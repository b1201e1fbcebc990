/** Texts of foreign files, where people and programs read them: in comments of a `foregate.yaml`, and at a terminal. */

/** For `commentBefore` of `yaml`. A line that ends a comment early would become settings. */
export function comment(text: string): string {
  return text
    .split('\n')
    .map((line) => (line === '' ? '' : ` ${printable(line)}`))
    .join('\n');
}

/** Names in a file may hold anything, and terminals obey. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- exactly those are meant
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]/g, '?');
}
