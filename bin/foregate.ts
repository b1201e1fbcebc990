#!/usr/bin/env node
/** The command. Each subcommand has a file of its own beside this one. */
import { Command } from 'commander';
import { checkCommand } from './check.ts';
import { doctorCommand } from './doctor.ts';
import { exitWith } from './exit.ts';
import { exportCommand } from './export.ts';
import { importCommand } from './import.ts';
import { keyCommand } from './key.ts';
import { typesCommand } from './message-types.ts';
import { publishCommand } from './publish.ts';
import { runCommand } from './run.ts';
import { tokenCommand } from './token.ts';
import { version } from './version.ts';

const program = new Command('foregate')
  .description(
    'Keeps WebSockets, event streams and long-polls in front of an HTTP API gateway, and turns them into short HTTP requests.',
  )
  .helpCommand(false)
  .showHelpAfterError('(--help says more)');

for (const command of [
  runCommand(),
  checkCommand(),
  doctorCommand(),
  importCommand(),
  exportCommand(),
  typesCommand(),
  publishCommand(),
  tokenCommand(),
  keyCommand(),
])
  program.addCommand(command);
for (const command of [program, ...program.commands]) command.version(version(), '-V, --version', 'print the version');
for (const command of program.commands) command.copyInheritedSettings(program);

try {
  await program.parseAsync();
} catch (error) {
  exitWith(error);
}
