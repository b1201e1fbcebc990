/** What the gateways behind the routes of documents cannot do of what is said of them: the remarks of their exports, unasked for. */
import { exporters } from '../adapters/exporters.ts';
import { gatewayModel } from '../adapters/conversion/gateway-model.ts';
import type { Remark } from '../adapters/conversion/gateway-route.ts';
import { adapters } from '../adapters/index.ts';
import type { LoadedConfig } from '../gateway/config/load.ts';

/** Only what is refused or said more strictly; the rest is for those who export. */
export function exportLines({ routes, documents }: LoadedConfig): string[] {
  const count = documents.reduce((sum, { described }) => sum + described.routes.length, 0);
  const described = routes.slice(routes.length - count).filter(({ settings }) => settings.adapter.gateway !== undefined);
  return exporters.flatMap((exporter) => {
    const settings = described.flatMap((route) => (route.adapter.name === exporter.name ? [route.settings] : []));
    const adapter = adapters.find(({ name }) => name === exporter.name);
    if (settings.length === 0 || adapter === undefined) return [];
    const { model, remarks } = gatewayModel(settings, adapter, { trusted: ['127.0.0.1'], withSecrets: false });
    return [...remarks, ...exporter.write(model).remarks].filter(({ verdict }) => verdict !== 'told').map(line);
  });
}

function line({ about, verdict, text }: Remark): string {
  return `warning: route ${about}: export: ${verdict === 'refused' ? '' : 'more strictly: '}${text}`;
}
