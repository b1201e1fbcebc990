/** How large a JSON text is inside, found out without making anything of it: parsers would first build what a limit is to refuse. */

/** What a text may have: levels of arrays and objects, and members of all its objects together. */
export interface JsonBounds {
  readonly depth: number;
  readonly keys: number;
}

/**
 * The bound that a JSON text (RFC 8259, in UTF-8) goes over first; reads no byte after that. Of a text that is no JSON something is
 * said too, since what it is taken for elsewhere is not known here.
 */
export function exceeded(text: Buffer, { depth, keys }: JsonBounds): keyof JsonBounds | undefined {
  let levels = 0;
  let members = 0;
  for (let i = 0; i < text.length; i += 1) {
    switch (text[i]) {
      case quote:
        i = endOfString(text, i);
        break;
      case openArray:
      case openObject:
        levels += 1;
        if (levels > depth) return 'depth';
        break;
      case closeArray:
      case closeObject:
        if (levels > 0) levels -= 1; // What closes more than was opened shall hide nothing.
        break;
      case colon:
        members += 1;
        if (members > keys) return 'keys';
        break;
      default:
    }
  }
  return undefined;
}

/** The place of the quote that ends a string, or the end of the text. */
function endOfString(text: Buffer, start: number): number {
  for (let i = start + 1; i < text.length; i += 1) {
    if (text[i] === quote) return i;
    if (text[i] === backslash) i += 1;
  }
  return text.length;
}

const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;
const openArray = 0x5b;
const closeArray = 0x5d;
const openObject = 0x7b;
const closeObject = 0x7d;
