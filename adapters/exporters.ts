/** The gateways whose configuration Foregate writes. */
import { awsExporter } from './aws/export.ts';
import { azureExporter } from './azure/export.ts';
import { caddyExport } from './caddy/export.ts';
import type { Exporter } from './gateway-route.ts';
import { haproxyExport } from './haproxy/export.ts';
import { nginxExport } from './nginx/export.ts';

export const exporters: readonly Exporter[] = [awsExporter, azureExporter, nginxExport, haproxyExport, caddyExport];
