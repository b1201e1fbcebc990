/** The settings as a person may see them: with defaults, without secrets. */
import { stringify } from 'yaml';
import { SettingsSchema } from '../core/settings.ts';
import type { LoadedConfig } from './load.ts';
import type { LoadedPolicy } from './parts.ts';
import { plain } from './schema.ts';
import { masked } from './secrets.ts';

/** YAML of everything that holds; secrets are `***`. */
export function effectiveSettings(loaded: LoadedConfig): string {
  const settings = masked(loaded.settings, plain(SettingsSchema)) as LoadedConfig['settings'];
  const routes = settings.routes.map((route, index) => ({
    ...route,
    policies: shownPolicies(loaded.routes[index]?.policies ?? []),
  }));
  const listen = settings.listen.map(({ host, port, ...rest }) => (rest.socket === undefined ? { host, port, ...rest } : rest));
  const control = { ...settings.control, policies: shownPolicies(loaded.controlPolicies) };
  // Its documents are its routes: named as well, they would be read again.
  const { openapi: _openapi, asyncapi: _asyncapi, ...whole } = settings;
  return stringify({ ...whole, listen, control, routes }, { lineWidth: 0, aliasDuplicateObjects: false });
}

/** Policies as they stand in the file, with all options and without secrets. */
export function shownPolicies(policies: readonly LoadedPolicy[]): Record<string, unknown>[] {
  return policies.map(({ use, dryRun, definition, options, alternatives }) => ({
    use,
    ...(dryRun && { dryRun }),
    ...(alternatives === undefined
      ? (masked(options, plain(definition.options)) as object)
      : { of: alternatives.map(shownPolicies) }),
  }));
}
