/**
 * What it costs to check one message by its schema, beside reading it as JSON alone, which a backend does anyway: nanoseconds of one
 * thread and their ratio, by the document of examples/described-chat, for messages of several sizes that fit and one that does not.
 * Run: node bench/micro/message-check.ts
 */
import { join } from 'node:path';
import type { Message } from '../../gateway/core/event.ts';
import { createPolicy, testSession } from '../../gateway/testing/index.ts';
import { readApiDocument } from '../../openapi/document/api-document.ts';
import { describedOperations } from '../../openapi/messages/described-operations.ts';
import { messagePolicies } from '../../openapi/messages/messages.ts';
import { messageSchema } from '../../policies/message-schema.ts';

const rounds = 7;
const bytesEach = 30_000_000;

interface Quote {
  readonly name: string;
  readonly text: string;
  readonly quotes?: Quote;
}

function quotes(levels: number): Quote {
  const quote = { name: 'ann', text: 'x'.repeat(200) };
  return levels === 0 ? quote : { ...quote, quotes: quotes(levels - 1) };
}

const said = (more: object): string => JSON.stringify({ type: 'say', text: 'Good morning.', ...more });
const messages: Readonly<Record<string, string>> = {
  small: said({}),
  'one quote': said({ quotes: quotes(0) }),
  '40 quotes': said({ quotes: quotes(40) }),
  'not fitting': said({ colour: 'red' }),
};

async function chatPolicy() {
  const document = await readApiDocument(join(import.meta.dirname, '../../examples/described-chat/chat.openapi.yaml'));
  const [operation] = describedOperations(document).operations;
  const [described] = operation?.messages ?? [];
  if (described === undefined) throw new Error('The document describes no messages.');
  const { use: _use, ...options } = messagePolicies(described, document).route[0] ?? {};
  return createPolicy(messageSchema, options);
}

/** The best of a few rounds: what else the machine does only adds. */
function nanoseconds(times: number, work: () => unknown): number {
  let best = Infinity;
  for (let round = 0; round < rounds; round += 1) {
    const start = process.hrtime.bigint();
    for (let index = 0; index < times; index += 1) work();
    best = Math.min(best, Number(process.hrtime.bigint() - start) / times);
  }
  return best;
}

const policy = await chatPolicy();
const session = testSession();
for (const [name, text] of Object.entries(messages)) {
  const message: Message = { kind: 'text', data: Buffer.from(text) };
  const times = Math.ceil(bytesEach / (text.length + 200));
  const parsed = nanoseconds(times, () => JSON.parse(message.data.toString()));
  const checked = nanoseconds(times, () => policy.message?.(session, message));
  const ratio = (checked / parsed).toFixed(2);
  console.log(
    `${name.padEnd(12)} ${String(text.length).padStart(6)} B  read ${parsed.toFixed(0)} ns, checked ${checked.toFixed(0)} ns: ${ratio}`,
  );
}
