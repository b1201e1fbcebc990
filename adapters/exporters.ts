/** The gateways whose configuration Foregate writes. */
import { apisixExporter } from './apisix/export.ts';
import type { Exporter } from './gateway-route.ts';
import { kongExporter } from './kong/export.ts';
import { tykClassicExporter, tykExporter } from './tyk/export.ts';

export const exporters: readonly Exporter[] = [apisixExporter, kongExporter, tykExporter, tykClassicExporter];
