/** Writes definitions of Tyk, one file for each API: as OpenAPI with Tyk's extension (`tyk`), or in the older form (`tyk-classic`). */
import type { Exporter, GatewayModel, GatewayRoute } from '../conversion/gateway-route.ts';
import type { Raw } from '../conversion/present.ts';
import { told } from '../conversion/remark.ts';
import { classicDefinition } from './classic.ts';
import { oasDefinition } from './oas.ts';
import { remarks } from './remarks.ts';

export const tykExporter: Exporter = {
  name: 'tyk',
  summary: 'Writes a Tyk OAS definition (Tyk 5) for each route.',
  write: (model) => ({
    files: filesOf(model, oasDefinition),
    remarks: [
      ...remarks(model, 'oas'),
      told(
        'tyk',
        'hand each file to the gateway: curl -H "x-tyk-authorization: <secret>" -H "Content-Type: application/json" --data-binary @<file> http://<tyk>/tyk/apis/oas, then GET /tyk/reload/group',
      ),
    ],
  }),
};

export const tykClassicExporter: Exporter = {
  name: 'tyk-classic',
  summary: 'Writes a classic Tyk definition for each route, for the folder app_path.',
  write: (model) => ({
    files: filesOf(model, classicDefinition),
    remarks: [
      ...remarks(model, 'classic'),
      told('tyk.conf', 'set "app_path" to the folder with the files; GET /tyk/reload/group reads them again'),
    ],
  }),
};

function filesOf({ routes }: GatewayModel, define: (route: GatewayRoute) => Raw): { name: string; content: string }[] {
  return routes
    .map((route) => ({ name: `${route.id}.json`, content: `${JSON.stringify(define(route), null, 2)}\n` }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
