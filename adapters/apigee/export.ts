/** `foregate export apigee`: for each route a proxy, as the bundle that Apigee imports. */
import { zipSync } from 'fflate';
import { cloudRemarks } from '../conversion/cloud-route.ts';
import type { Exporter, OutputFile } from '../conversion/gateway-route.ts';
import { bundle } from './bundle.ts';
import { apiRemarks, exportRemarks } from './api-remarks.ts';

export const apigeeExporter: Exporter = {
  name: 'apigee',
  summary: 'Writes a bundle of an Apigee proxy for each route.',
  write(model) {
    const { routes } = model;
    const files = routes.map((route) => ({ name: `apigee-${route.id}.zip`, content: zipped(bundle(route)) }));
    return {
      files: files.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      remarks: [...cloudRemarks(routes), ...routes.flatMap(apiRemarks), ...exportRemarks(model)],
    };
  },
};

/** Nothing is compressed, and the time is always the same. */
function zipped(files: readonly OutputFile[]): Uint8Array {
  const entries = files.map(({ name, content }) => [name, Buffer.from(content)] as const);
  // Times in a zip have no zone and are those of the clock on the wall: this one is the same everywhere.
  return zipSync(Object.fromEntries(entries), { level: 0, mtime: new Date(1980, 0, 1) });
}
