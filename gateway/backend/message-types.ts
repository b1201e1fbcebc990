/** Messages as backends handle them: texts and bytes, or values of described types that travel as JSON. */

export type RawMessage = string | Uint8Array;

/** The types of an operation's messages, as `foregate types` writes them from an API document. */
export interface MessageTypes {
  /** What clients send. */
  readonly client: unknown;
  /** What the backend sends and publishes. */
  readonly backend: unknown;
}

/** Where nothing is described. */
export interface RawMessages extends MessageTypes {
  readonly backend: RawMessage;
}

/** Texts and bytes as they are, all else as JSON. @throws TypeError for what JSON cannot say */
export function rawMessage(message: unknown): RawMessage {
  if (typeof message === 'string' || message instanceof Uint8Array) return message;
  const text: string | undefined = JSON.stringify(message);
  if (text === undefined) throw new TypeError(`A message cannot be of the type ${typeof message}.`);
  return text;
}

/** Undefined for a text that is no JSON. */
export function jsonMessage(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
