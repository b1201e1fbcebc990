/** Options and readers of arguments that several commands share. */
import { readFileSync } from 'node:fs';
import { InvalidArgumentError, Option } from 'commander';

export function configOption(): Option {
  return new Option('-c, --config <file>', 'the configuration file, YAML or JSON (default: "foregate.yaml")');
}

/** API documents whose operations are routes, beside those of the configuration or in place of one. */
export function openApiOption(): Option {
  return new Option(
    '--openapi <file>',
    'an OpenAPI document whose operations are routes; may be repeated. Without --config nothing else is read',
  )
    .argParser(collect)
    .default([], 'none');
}

export function asyncApiOption(): Option {
  return new Option('--asyncapi <file>', 'the same for an AsyncAPI document, whose channels are routes')
    .argParser(collect)
    .default([], 'none');
}

/** For an option that may stand several times. */
export function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

/** For an option that may stand several times: `name=value` pairs. */
export function collectPairs(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Write it as name=value.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** A whole number that is a port. */
export function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('A port is a number from 0 to 65535.');
  return port;
}

/** A secret given as text or as `file:PATH`, from the working directory. */
export function readSecret(text: string): string {
  if (!text.startsWith('file:')) return text;
  try {
    return readFileSync(text.slice('file:'.length), 'utf8').trim();
  } catch (cause) {
    throw new Error(`The file ${JSON.stringify(text.slice('file:'.length))} cannot be read.`, { cause });
  }
}
