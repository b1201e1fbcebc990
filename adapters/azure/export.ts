/** `foregate export azure`: for each route an API of Azure API Management, as an OpenAPI document and a policy. */
import { cloudRemarks } from '../conversion/cloud-route.ts';
import type { Exporter, GatewayRoute, OutputFile } from '../conversion/gateway-route.ts';
import { writeXml } from '../conversion/xml.ts';
import { apiDocument } from './api-document.ts';
import { apiRemarks, exportRemarks } from './api-remarks.ts';
import { policy } from './policy.ts';

export const azureExporter: Exporter = {
  name: 'azure',
  summary: 'Writes an OpenAPI document and a policy for Azure API Management for each route.',
  write(model) {
    const { routes } = model;
    return {
      files: routes.flatMap(filesOf).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      remarks: [...cloudRemarks(routes), ...routes.flatMap(apiRemarks), ...exportRemarks(model)],
    };
  },
};

function filesOf(route: GatewayRoute): OutputFile[] {
  return [
    { name: `azure-${route.id}.json`, content: `${JSON.stringify(apiDocument(route), undefined, 2)}\n` },
    {
      name: `azure-${route.id}.xml`,
      content: writeXml(policy(route), 'Made by "foregate export azure"; made again, it is overwritten.'),
    },
  ];
}
