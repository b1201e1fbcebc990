/** Which of the two forms of an answer a publisher wants (RFC 9110 section 12.5.1): the highest quality, then the first named. */

/** Undefined where the publisher takes neither. */
export function acceptedForm(accept: string | undefined): 'text' | 'json' | undefined {
  if (accept === undefined || accept === '*/*') return 'text';
  let best: 'text' | 'json' | undefined;
  let bestQuality = 0;
  for (const range of accept.split(',')) {
    const [mediaRange = '', ...parameters] = range.split(';');
    const form = forms.get(mediaRange.trim().toLowerCase());
    const quality = qualityOf(parameters);
    if (form === undefined || quality <= bestQuality) continue;
    best = form;
    bestQuality = quality;
  }
  return best;
}

const forms: ReadonlyMap<string, 'text' | 'json'> = new Map([
  ['text/plain', 'text'],
  ['text/*', 'text'],
  ['*/*', 'text'],
  ['application/json', 'json'],
  ['application/*', 'json'],
]);

function qualityOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=');
    if (name.trim().toLowerCase() === 'q') return Number(value.trim()) || 0;
  }
  return 1;
}
