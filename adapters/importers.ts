/** The gateways whose configuration Foregate reads. */
import { awsImporter } from './aws/import.ts';
import type { Importer } from './gateway-route.ts';

export const importers: readonly Importer[] = [awsImporter];
