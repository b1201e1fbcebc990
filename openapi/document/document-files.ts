/** Reads the files that an API document is made of: from the disk, and from the network only where that is allowed. */
import { fileURLToPath } from 'node:url';
import { limits } from '../../gateway/core/limits.ts';
import { ConfigError } from '../../gateway/core/problem.ts';
import { asText, readText } from './source.ts';

/** The text of a file. @throws ConfigError that says of the file what is wrong with it */
export type ReadFile = (url: URL, shown: string) => Promise<string>;

/** `network`: whether http and https may be used. */
export function fileReader(network: boolean): ReadFile {
  return (url, shown) => {
    if (url.protocol === 'file:') return readLocal(url, shown);
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw unreadable(shown, 'is neither a file nor an http(s) URL');
    if (network) return download(url, shown);
    throw unreadable(shown, 'is on the network: write "network: true" beside the document, or copy it here');
  };
}

async function readLocal(url: URL, shown: string): Promise<string> {
  try {
    return await readText(fileURLToPath(url));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.problems.map((problem) => ({ ...problem, file: shown })));
  }
}

async function download(url: URL, shown: string): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(limits.documentFetchMs) });
    if (!response.ok) throw unreadable(shown, `was answered with ${response.status}`);
    return asText(await bounded(response, shown));
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw unreadable(shown, error instanceof TypeError ? 'cannot be fetched' : 'did not come in time');
  }
}

async function bounded(response: Response, shown: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > limits.sourceBytes) throw unreadable(shown, `is larger than ${limits.sourceBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function unreadable(file: string, message: string): ConfigError {
  return new ConfigError([{ file, line: 0, column: 0, path: '', message }]);
}
