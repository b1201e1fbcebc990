/** The gateways whose configuration Foregate reads. */
import { apisixImporter } from './apisix/import.ts';
import { awsImporter } from './aws/import.ts';
import type { Importer } from './conversion/gateway-route.ts';
import { kongImporter } from './kong/import.ts';
import { nginxImporter } from './nginx/import.ts';
import { tykImporter } from './tyk/import.ts';

export const importers: readonly Importer[] = [kongImporter, tykImporter, apisixImporter, awsImporter, nginxImporter];
