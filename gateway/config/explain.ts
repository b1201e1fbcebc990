/** What a request would meet: its route, where that leads, and every policy with all its options. */
import { stringify } from 'yaml';
import { routeId } from '../core/ids.ts';
import { Router, type Asked } from '../front/router.ts';
import { matchOf } from './compile.ts';
import { shownPolicies } from './effective.ts';
import type { LoadedConfig, LoadedRoute } from './load.ts';

/** YAML of it; secrets are `***`. Routes are found as those of a running program are. */
export function explain(loaded: LoadedConfig, asked: Asked): string {
  const routes = loaded.routes.map((route) => ({
    id: routeId(route.settings.id),
    match: matchOf(route.settings.match),
    loaded: route,
  }));
  const found = new Router(routes, loaded.settings).find(asked);
  const answer = found === undefined ? { route: null, status: loaded.settings.noRouteStatus } : explained(found.loaded);
  return stringify(answer, { lineWidth: 0, aliasDuplicateObjects: false });
}

function explained({ settings: { id, match, targets }, policies }: LoadedRoute): object {
  return {
    route: id,
    match,
    targets: targets.map(({ url, dialect }) => ({ url, dialect })),
    policies: shownPolicies(policies),
  };
}
