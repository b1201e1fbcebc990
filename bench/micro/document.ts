/**
 * How long it takes until the paths of an OpenAPI document are routes: read, checked, with their policies made. Each time in a process
 * of its own, as at a start; what a document of one path takes is what everything else takes. Run: node bench/micro/document.ts
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadText } from '../../gateway/config/load.ts';
import { silentLog } from '../../gateway/core/log.ts';
import { createForegate } from '../../gateway/foregate.ts';
import { parts } from '../../gateway/parts.ts';

const sizes = [1, 200, 2_000];
const rounds = 3;

function path(index: number): string {
  const schema = `{ $ref: '#/components/schemas/Kind${index % 200}' }`;
  return [
    `  /v1/kind-${index}/{id}:`,
    `    parameters: [{ $ref: '#/components/parameters/Id' }]`,
    `    get:`,
    `      operationId: getKind${index}`,
    `      responses: { '200': { description: One of them., content: { application/json: { schema: ${schema} } } } }`,
  ].join('\n');
}

function kind(index: number): string {
  return `    Kind${index}: { type: object, properties: { next: { $ref: '#/components/schemas/Kind${(index + 1) % 200}' } } }`;
}

function documentOf(count: number): string {
  const numbers = (length: number): number[] => Array.from({ length }, (_, index) => index);
  return [
    `openapi: 3.1.0\ninfo: { title: Kinds, version: 1.0.0 }\nservers: [{ url: 'http://127.0.0.1:9000' }]\npaths:`,
    ...numbers(count).map(path),
    'components:',
    '  parameters: { Id: { name: id, in: path, required: true, schema: { type: string, maxLength: 64 } } }',
    '  schemas:',
    ...numbers(200).map(kind),
  ].join('\n');
}

/** Milliseconds, in this process. */
async function load(folder: string): Promise<number> {
  const start = performance.now();
  const loaded = await loadText(join(folder, 'foregate.yaml'), 'openapi: [{ file: api.yaml }]', parts, {});
  const foregate = await createForegate(loaded, { log: silentLog });
  const took = performance.now() - start;
  await foregate.stop();
  return took;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

function measure(count: number): number {
  const folder = mkdtempSync(join(tmpdir(), 'foregate-document-'));
  writeFileSync(join(folder, 'api.yaml'), documentOf(count));
  const run = (): number => Number(execFileSync(process.execPath, [import.meta.filename, folder]));
  const took = median(Array.from({ length: rounds }, run));
  rmSync(folder, { recursive: true });
  return took;
}

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  const [one = 0, ...more] = sizes.map((count) => [count, measure(count)] as const).map(([, took]) => took);
  console.log(`${sizes[0]} path: ${one.toFixed(0)} ms`);
  for (const [index, took] of more.entries())
    console.log(`${sizes[index + 1]} paths: ${took.toFixed(0)} ms, ${(took - one).toFixed(0)} ms more`);
} else process.stdout.write(String(await load(folder)));
