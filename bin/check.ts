/** `foregate check`: is the configuration right, and what does it mean with all defaults, or for one request? */
import { Command, InvalidArgumentError, Option } from 'commander';
import { documentWarnings, problemLine } from '../gateway/config/document-warnings.ts';
import { effectiveSettings } from '../gateway/config/effective.ts';
import { explain } from '../gateway/config/explain.ts';
import { limitWarnings, warningLines } from '../gateway/config/gateway-limits.ts';
import { exportLines } from './export-warnings.ts';
import { loadChosen, type ConfigChoice } from './configuration.ts';
import { asyncApiOption, configOption, openApiOption } from './options.ts';

export function checkCommand(): Command {
  return new Command('check')
    .description(
      'Checks a configuration and prints the settings that follow from it, secrets hidden. Ends with 2 if it is wrong.',
    )
    .addOption(configOption())
    .addOption(openApiOption())
    .addOption(asyncApiOption())
    .option('--explain <path>', 'print only what a request for this path would meet: route, targets and policies', parsePath)
    .addOption(new Option('--transport <transport>', 'of that request').choices(['websocket', 'http']).default('websocket'))
    .option('--method <method>', 'of that request, with --transport http', 'GET')
    .option('--host <host>', 'of that request')
    .option('--tls', 'it comes over TLS')
    .action(check);
}

interface Options extends ConfigChoice {
  readonly explain?: string;
  readonly transport: 'websocket' | 'http';
  readonly method: string;
  readonly host?: string;
  readonly tls?: boolean;
}

async function check({ explain: path, transport, method, host, tls: secure = false, ...choice }: Options): Promise<void> {
  const loaded = await loadChosen(choice);
  const { createForegate } = await import('../gateway/foregate.ts');
  // Makes the policies as a start would, and opens no port.
  const foregate = await createForegate(loaded);
  await foregate.stop();
  const lines = [...warningLines(limitWarnings(loaded)), ...documentWarnings(loaded).map(problemLine), ...exportLines(loaded)];
  for (const line of lines) console.error(line);
  process.stdout.write(
    path === undefined ? effectiveSettings(loaded) : explain(loaded, { path, transport, method, host, secure }),
  );
}

function parsePath(text: string): string {
  if (!text.startsWith('/')) throw new InvalidArgumentError('A path begins with "/".');
  return text;
}
