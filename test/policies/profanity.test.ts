/** The example of docs/writing-a-policy.md, tested as that page tells its readers to do it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { PolicyDefinition, Verdict } from 'foregate/policy';
import { createPolicy, optionErrors, policyContract, testSession, textMessage } from 'foregate/testing';

const directory = join(import.meta.dirname, '../../examples/policies');
const file: { readonly default: PolicyDefinition } = await import(pathToFileURL(join(directory, 'profanity.mjs')).href);
const profanity = file.default;
const words = join(directory, 'words.txt');

policyContract(profanity, { good: [{ words }], bad: [{}, { words: 3 }, { words: 'missing.txt' }, { words, action: 'ignore' }] });

describe('profanity', () => {
  const verdictOn = async (text: string, options: object = {}): Promise<Verdict> => {
    const policy = await createPolicy(profanity, { words: 'words.txt', ...options }, { directory });
    return policy.message?.(testSession(), textMessage(text));
  };

  it('lets other words pass, also those that hold a listed one', async () => {
    assert.equal(await verdictOn('A bothersome drattle'), undefined);
  });

  it('drops a message with a listed word, in any letters', async () => {
    assert.deepEqual(await verdictOn('Oh, DRAT!'), {
      kind: 'deny',
      code: 'forbidden',
      detail: 'Please mind your language.',
      action: 'drop',
    });
  });

  it('does what the options say', async () => {
    const verdict = await verdictOn('drat', { action: 'close' });
    assert.equal(verdict?.kind === 'deny' && verdict.action, 'close');
  });

  it('does not look into binary messages', async () => {
    const policy = await createPolicy(profanity, { words }, { directory });
    assert.equal(policy.message?.(testSession(), { kind: 'binary', data: Buffer.from('drat') }), undefined);
  });

  it('names the option that is missing', () => {
    assert.deepEqual(optionErrors(profanity, {}), ["/ must have required property 'words'"]);
  });
});
