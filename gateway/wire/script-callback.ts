/** The name of a page's function in an answer that runs as a script (JSONP). */

/** Dotted names of ASCII letters and nothing else: anything more could be a script of somebody else's. */
export function isCallback(text: string): boolean {
  return text.length <= 255 && /^[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*$/.test(text);
}
