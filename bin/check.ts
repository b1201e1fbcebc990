/** `foregate check`: is the configuration right, and what does it mean with all defaults? */
import { Command } from 'commander';
import { effectiveSettings } from '../gateway/config/effective.ts';
import { loadConfig } from '../gateway/config/load.ts';
import { configOption } from './options.ts';
import { parts } from '../gateway/parts.ts';

export function checkCommand(): Command {
  return new Command('check')
    .description(
      'Checks a configuration and prints the settings that follow from it, secrets hidden. Ends with 2 if it is wrong.',
    )
    .addOption(configOption())
    .action(check);
}

async function check({ config }: { readonly config: string }): Promise<void> {
  const loaded = await loadConfig(config, parts);
  const { createForegate } = await import('../gateway/foregate.ts');
  // Makes the policies as a start would, and opens no port.
  const foregate = await createForegate(loaded);
  await foregate.stop();
  process.stdout.write(effectiveSettings(loaded));
}
