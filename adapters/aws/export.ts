/** `foregate export aws`: an OpenAPI document for API Gateway, and a CloudFormation template with the usage plan and the keys. */
import { cloudRemarks } from '../conversion/cloud-route.ts';
import type { Exporter, GatewayModel, OutputFile } from '../conversion/gateway-route.ts';
import { apiDocument } from './api-document.ts';
import { apiRemarks, kindOfApi } from './api-remarks.ts';
import { usagePlan } from './usage-plan.ts';

export const awsExporter: Exporter = {
  name: 'aws',
  summary: 'Writes an OpenAPI document for AWS API Gateway, and a CloudFormation template with its usage plan.',
  write(model) {
    const remarks = [...cloudRemarks(model.routes), ...apiRemarks(model)];
    const plan = needsPlan(model) ? usagePlan(model) : undefined;
    const document: OutputFile = { name: 'aws-api.json', content: json(apiDocument(model)) };
    if (plan === undefined) return { files: [document], remarks };
    return {
      files: [document, { name: 'aws-usage-plan.json', content: json(plan.template) }],
      remarks: [...remarks, ...plan.remarks],
    };
  },
};

/** A key opens nothing without a usage plan. */
function needsPlan(model: GatewayModel): boolean {
  return kindOfApi(model.routes) === 'rest' && model.routes.some(({ auth }) => auth.kind === 'key');
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
