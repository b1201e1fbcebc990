/** Files that a command makes and never overwrites. */
import { writeFile } from 'node:fs/promises';

/** Readable by its owner only, as it may hold keys. @throws Error if it exists or cannot be written */
export async function writeNew(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text, { flag: 'wx', mode: 0o600 });
  } catch (cause) {
    const exists = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
    throw new Error(exists ? `${file} exists already; name another with --output.` : `${file} cannot be written.`, { cause });
  }
}
