/** The gateways whose configuration Foregate reads. */
import type { Importer } from './gateway-route.ts';

export const importers: readonly Importer[] = [];
