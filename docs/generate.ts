/**
 * Writes the reference pages and schemas that are made from the sources: `node docs/generate.ts`. With `--check` it writes
 * nothing, names the files that differ and ends with 1.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { parts } from '../gateway/parts.ts';
import { configurationPage, errorsPage, metricsPage, policiesPage } from '../gateway/config/reference.ts';
import { editorSchema } from '../gateway/config/schema.ts';
import { createMetrics } from '../gateway/control/metrics.ts';
import { controlDocument } from '../openapi/control/control-document.ts';
import { differencesPage } from '../test/conformance/differences.ts';

const root = new URL('../', import.meta.url);

const none = (): number => 0;
const pushpin = () => ({ requestReceived: 0, connectionConnected: 0, connectionMinute: 0, messageReceived: 0, messageSent: 0 });
const served = await createMetrics({
  sessions: none,
  channels: none,
  subscriptions: none,
  pushpin,
  storeUp: () => true,
  targets: () => [],
  busUp: () => true,
}).text();

const files: Readonly<Record<string, () => string>> = {
  'foregate.schema.json': () => JSON.stringify(editorSchema(parts)),
  'docs/configuration.md': () => configurationPage(parts),
  'docs/policies.md': () => policiesPage(parts),
  'docs/errors.md': errorsPage,
  'docs/metrics.md': () => metricsPage(served.text),
  'docs/pushpin-differences.md': differencesPage,
  'docs/control.openapi.json': () => JSON.stringify(controlDocument),
};

const checking = process.argv.includes('--check');
const different = await changedFiles();
if (checking && different.length > 0) {
  console.error(`Not up to date; run "node docs/generate.ts":\n${different.map(({ name }) => `  ${name}`).join('\n')}`);
  process.exitCode = 1;
}
if (!checking) await Promise.all(different.map(({ name, text }) => writeFile(new URL(name, root), text)));

async function changedFiles(): Promise<{ readonly name: string; readonly text: string }[]> {
  const all = await Promise.all(
    Object.entries(files).map(async ([name, make]) => ({ name, text: await formatted(name, make()) })),
  );
  const before = await Promise.all(all.map(({ name }) => readFile(new URL(name, root), 'utf8').catch(() => undefined)));
  return all.filter(({ text }, index) => text !== before[index]);
}

/** As `npm run format` would write it, so that the two never fight over a file. */
async function formatted(name: string, text: string): Promise<string> {
  const path = fileURLToPath(new URL(name, root));
  return format(text, { ...(await resolveConfig(path)), filepath: path });
}
