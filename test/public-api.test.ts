/**
 * The names that the package promises (see the stability page of the documentation). Whoever adds, renames or removes one changes
 * this list too, and says so in the changelog.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

interface Entry {
  readonly file: string;
  readonly values: readonly string[];
  readonly types: readonly string[];
}

/** In the order of `exports` in package.json; names in alphabetical order. */
const entries: Readonly<Record<string, Entry>> = {
  '.': {
    file: 'gateway/index.ts',
    values: ['ConfigError', 'createForegate', 'loadConfig', 'loadText'],
    types: ['Foregate', 'LoadedConfig', 'Log', 'LogFields', 'Reloaded'],
  },
  './express': {
    file: 'gateway/backend/express.ts',
    values: ['PublishError', 'createPublisher', 'parseGripUrl', 'verifyGripSig', 'webSocketEvents'],
    types: [
      'BackendSocket',
      'EventHandlers',
      'EventMiddleware',
      'EventOptions',
      'GripSigClaims',
      'GripSigOptions',
      'GripSigResult',
      'GripUrl',
      'KeyInput',
      'MessageTypes',
      'MissedSocket',
      'OpenOptions',
      'PublishItem',
      'PublishResponse',
      'Publisher',
      'PublisherAuth',
      'PublisherOptions',
      'RawMessage',
      'RawMessages',
      'SessionMeta',
      'SignatureOptions',
      'SigningAlgorithm',
      'SubscribeOptions',
      'ToClientLater',
    ],
  },
  './policy': {
    file: 'gateway/policy.ts',
    values: [
      'Duration',
      'ForegateError',
      'Pem',
      'Secret',
      'definePolicy',
      'deny',
      'header',
      'headerValues',
      'removeHeader',
      'setHeader',
      'toMs',
    ],
    types: [
      'Budget',
      'ChannelName',
      'ClientCertificate',
      'ClientRequest',
      'Clock',
      'ConnectVerdict',
      'ConsumedCredential',
      'Denial',
      'ErrorCode',
      'HeaderDraft',
      'HeaderList',
      'Identity',
      'LeaseHolder',
      'LeaseTerms',
      'Log',
      'MaybePromise',
      'Message',
      'Metrics',
      'OwnAnswer',
      'Policy',
      'PolicyContext',
      'PolicyDefinition',
      'Publication',
      'Publisher',
      'Reply',
      'RequestDraft',
      'Revocations',
      'RouteId',
      'SessionId',
      'SessionView',
      'Step',
      'Store',
      'Taken',
      'Timer',
      'Verdict',
    ],
  },
  './testing': {
    file: 'gateway/testing/index.ts',
    values: [
      'ManualClock',
      'connect',
      'createPolicy',
      'optionErrors',
      'playSession',
      'policyContract',
      'storeContract',
      'testSession',
      'textMessage',
    ],
    types: [
      'PlayTerms',
      'Played',
      'PlayedSession',
      'PlayedVerdict',
      'PolicySamples',
      'RecordedEvent',
      'TestSession',
      'TestSessionOptions',
    ],
  },
};

describe('the public names', () => {
  for (const [entry, { file, values, types }] of Object.entries(entries)) {
    it(`of ${entry} are the promised ones`, async () => {
      const found = exportedNames(await readFile(join(root, file), 'utf8'));
      assert.deepEqual(found, { values, types });
      // What the text says is what a program gets.
      const module = (await import(join(root, file))) as Record<string, unknown>;
      assert.deepEqual(Object.keys(module).toSorted(), values);
    });
  }

  it('are reached by the entries of package.json and no others', async () => {
    const { exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      exports: Record<string, string | { types: string; default: string }>;
    };
    const expected = Object.entries(entries).map(([entry, { file }]) => [
      entry,
      { types: `./dist/${file.replace(/\.ts$/, '.d.ts')}`, default: `./dist/${file.replace(/\.ts$/, '.js')}` },
    ]);
    assert.deepEqual(exports, { ...Object.fromEntries(expected), './package.json': './package.json' });
  });

  it('are read from every form of export', () => {
    const text = `export { a, type B, c as d } from './x.ts';\nexport type {\n  E,\n  F as G,\n} from './y.ts';\nexport const h = 1;
export async function i() {}\nexport interface J {}\nexport class K {}\nexport type L = string;`;
    assert.deepEqual(exportedNames(text), { values: ['K', 'a', 'd', 'h', 'i'], types: ['B', 'E', 'G', 'J', 'L'] });
  });

  it('cannot be a star, which promises whatever happens to be there', () => {
    assert.throws(() => exportedNames(`export * from './x.ts';`), /export \*/);
  });
});

/** The names a module exports, by its text. @throws Error for `export *` */
function exportedNames(text: string): { readonly values: string[]; readonly types: string[] } {
  if (/^export \*/m.test(text)) throw new Error('An entry names what it exports; it has no `export *`.');
  const lists = [...text.matchAll(/^export (type )?\{([^}]*)\}/gm)].flatMap(([, type, list = '']) =>
    namesOf(list, type !== undefined),
  );
  const values = [...text.matchAll(/^export (?:async )?(?:const|function\*?|class) (\w+)/gm)].map(([, name = '']) => ({
    name,
    type: false,
  }));
  const types = [...text.matchAll(/^export (?:interface|type) (\w+)/gm)].map(([, name = '']) => ({ name, type: true }));
  const all = [...lists, ...values, ...types];
  const sorted = (type: boolean): string[] =>
    all
      .filter((one) => one.type === type)
      .map(({ name }) => name)
      .toSorted();
  return { values: sorted(false), types: sorted(true) };
}

function namesOf(list: string, allTypes: boolean): { readonly name: string; readonly type: boolean }[] {
  const items = list.split(',').map((item) => item.trim());
  return items
    .filter(Boolean)
    .map((item) => ({ name: /\w+$/.exec(item)?.[0] ?? item, type: allTypes || item.startsWith('type ') }));
}
