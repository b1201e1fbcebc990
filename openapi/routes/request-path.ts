/** Paths of API documents as they come in requests. */

/** What cannot stand in a request is percent-encoded. */
export function encodedPath(path: string): string {
  return path.replaceAll(/[^\x21-\x7e]+/gu, (text) => encodeURIComponent(text.replaceAll(/\p{Surrogate}/gu, '\ufffd')));
}
