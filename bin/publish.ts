/** `foregate publish`: one item to one channel, for clients of every kind (GRIP 6.2, 6.3). */
import { Command } from 'commander';
import { createPublisher, type PublishItem } from '../gateway/backend/publisher.ts';
import { collectPairs } from './options.ts';

interface PublishOptions {
  readonly url?: string;
  readonly id?: string;
  readonly prevId?: string;
  readonly sender?: string;
  readonly meta?: Readonly<Record<string, string>>;
  readonly close?: true;
}

const localControl = 'http://127.0.0.1:5561/';

export function publishCommand(): Command {
  return new Command('publish')
    .description('Publishes a text to a channel, as a WebSocket message, to streams and to held responses.')
    .argument('<channel>', 'the channel')
    .argument('[text]', 'what to send; not needed with --close')
    .option(
      '-u, --url <url>',
      `the control API, with credentials as in GRIP_URL (default: the variable GRIP_URL, or ${localControl})`,
    )
    .option('--id <id>', 'id of the item in its channel')
    .option('--prev-id <id>', 'id of the item before it')
    .option('--sender <id>', 'who sent it: for the filter skip-self')
    .option('--meta <name=value>', 'any other metadata, as often as needed', collectPairs)
    .option('--close', 'close the sessions and streams of the channel instead')
    .action(publish);
}

async function publish(channel: string, text: string | undefined, options: PublishOptions): Promise<void> {
  const publisher = createPublisher({ url: options.url ?? process.env['GRIP_URL'] ?? localControl });
  if (options.close) {
    await publisher.close(channel);
    console.log(`Closed ${channel}.`);
    return;
  }
  if (text === undefined) throw new Error('Give a text to publish, or --close.');
  await publisher.publish(channel, itemOf(text, options));
  console.log(`Published to ${channel}.`);
}

/** Streams and bodies get a line end; a WebSocket message is one by itself. */
function itemOf(text: string, { id, prevId, sender, meta }: PublishOptions): PublishItem {
  const all = { ...meta, ...(sender !== undefined && { sender }) };
  return {
    message: text,
    stream: `${text}\n`,
    response: `${text}\n`,
    ...(id !== undefined && { id }),
    ...(prevId !== undefined && { previousId: prevId }),
    ...(Object.keys(all).length > 0 && { meta: all }),
  };
}
