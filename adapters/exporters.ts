/** The gateways whose configuration Foregate writes. */
import { awsExporter } from './aws/export.ts';
import { azureExporter } from './azure/export.ts';
import type { Exporter } from './gateway-route.ts';

export const exporters: readonly Exporter[] = [awsExporter, azureExporter];
