/** The gateways whose configuration Foregate writes. */
import type { Exporter } from './gateway-route.ts';

export const exporters: readonly Exporter[] = [];
