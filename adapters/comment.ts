/** Comments for a `foregate.yaml` that is made from foreign files, whatever stands in those. */

/** For `commentBefore` of `yaml`. A line that ends a comment early would become settings. */
export function comment(text: string): string {
  return (
    text
      .split('\n')
      // oxlint-disable-next-line no-control-regex -- exactly those are meant
      .map((line) => (line === '' ? '' : ` ${line.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]/g, '?')}`))
      .join('\n')
  );
}
