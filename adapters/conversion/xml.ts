/** Writes XML: elements with attributes, and in each of them either text or elements. */

export interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly content: string | readonly (Element | undefined)[];
}

/** Children that are undefined are left out. */
export function element(name: string, attributes: Element['attributes'] = {}, content: Element['content'] = []): Element {
  return { name, attributes, content };
}

/** With an indent of two spaces and a line break at the end; `comment` stands inside the root and has no `--`. */
export function writeXml(root: Element, comment: string): string {
  const [first = '', ...rest] = lines(root);
  return `${[first, `  <!-- ${comment} -->`, ...rest].join('\n')}\n`;
}

/** False for what no XML document can hold, escaped or not. */
export function isXmlText(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- exactly those are meant
  return !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/u.test(text);
}

function lines({ name, attributes, content }: Element): string[] {
  const start = [name, ...Object.entries(attributes).map(([key, value]) => `${key}="${escaped(value, /[&<>"\t\n\r]/g)}"`)].join(
    ' ',
  );
  if (typeof content === 'string') return [`<${start}>${escaped(content, /[&<>\r]/g)}</${name}>`];
  const inside = content.flatMap((child) => (child === undefined ? [] : lines(child)));
  if (inside.length === 0) return [`<${start} />`];
  return [`<${start}>`, ...inside.map((line) => `  ${line}`), `</${name}>`];
}

const references: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Line breaks too, in an attribute: they would become spaces. */
function escaped(text: string, signs: RegExp): string {
  return text.replace(signs, (sign) => references[sign] ?? `&#${sign.charCodeAt(0)};`);
}
