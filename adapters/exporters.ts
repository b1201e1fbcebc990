/** The gateways whose configuration Foregate writes. */
import type { Exporter } from './gateway-route.ts';
import { kongExporter } from './kong/export.ts';

export const exporters: readonly Exporter[] = [kongExporter];
