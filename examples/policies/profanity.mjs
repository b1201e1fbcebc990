/**
 * A policy of one's own, in plain JavaScript: refuses text messages that hold a word of a list. Use it in the configuration with
 *
 *     policies:
 *       - { use: ./policies/profanity.mjs, words: ./words.txt, action: answer }
 *
 * In a TypeScript project, or for a definition that the editor checks, put it through `definePolicy` from `foregate/policy`.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

export default {
  name: 'profanity',
  summary: 'Refuses text messages that hold a word of a list.',
  options: {
    type: 'object',
    properties: {
      words: { type: 'string', minLength: 1, description: 'A text file with one word a line.' },
      action: { enum: ['close', 'drop', 'answer'], default: 'drop', description: 'What happens to such a message.' },
    },
    required: ['words'],
    additionalProperties: false,
  },

  // Runs once, when the configuration is loaded. What it throws is reported with the place in the file.
  async create({ words, action }, { directory, log }) {
    const text = await readFile(resolve(directory, words), 'utf8');
    const listed = new Set(wordsOf(text));
    if (listed.size === 0) throw new Error(`There are no words in ${words}.`);
    log.info('profanity.loaded', { words: listed.size });
    return {
      // Runs for every message of every client: no promise where none is needed.
      message(session, message) {
        if (message.kind !== 'text') return undefined;
        const found = wordsOf(message.data.toString()).some((word) => listed.has(word));
        return found ? { kind: 'deny', code: 'forbidden', detail: 'Please mind your language.', action } : undefined;
      },
    };
  },
};

function wordsOf(text) {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}
