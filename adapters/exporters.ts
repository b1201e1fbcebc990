/** The gateways whose configuration Foregate writes. */
import { apigeeExporter } from './apigee/export.ts';
import { apisixExporter } from './apisix/export.ts';
import { awsExporter } from './aws/export.ts';
import { azureExporter } from './azure/export.ts';
import { caddyExporter } from './caddy/export.ts';
import type { Exporter } from './conversion/gateway-route.ts';
import { haproxyExporter } from './haproxy/export.ts';
import { kongExporter } from './kong/export.ts';
import { nginxExporter } from './nginx/export.ts';
import { tykClassicExporter, tykExporter } from './tyk/export.ts';

export const exporters: readonly Exporter[] = [
  kongExporter,
  tykExporter,
  tykClassicExporter,
  apisixExporter,
  apigeeExporter,
  awsExporter,
  azureExporter,
  nginxExporter,
  caddyExporter,
  haproxyExporter,
];
