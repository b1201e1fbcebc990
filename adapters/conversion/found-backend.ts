/** Addresses of backends that were read of a gateway. */

/** Without `/` at its end; undefined if it is no plain HTTP address. */
export function backendOf(text: string): URL | undefined {
  const trimmed = text.replace(/\/+$/, '');
  if (!/^https?:\/\/[A-Za-z0-9._:[\]-]+(\/[\x21-\x22\x24-\x3e\x40-\x7e]*)?$/.test(trimmed) || !URL.canParse(trimmed))
    return undefined;
  return new URL(trimmed);
}
