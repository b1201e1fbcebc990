/** The routes that `--route` names. */
import type { RouteSettings } from '../gateway/core/settings.ts';

/** Those with these ids, all for none. @throws Error for an id that no route has */
export function chosenRoutes(routes: readonly RouteSettings[], ids: readonly string[]): readonly RouteSettings[] {
  const unknown = ids.find((id) => routes.every((route) => route.id !== id));
  if (unknown !== undefined)
    throw new Error(`There is no route ${JSON.stringify(unknown)}; routes are ${routes.map(({ id }) => id).join(', ')}.`);
  return ids.length === 0 ? routes : routes.filter(({ id }) => ids.includes(id));
}
