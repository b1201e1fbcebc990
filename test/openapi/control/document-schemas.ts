/** The schemas of the control document, compiled where they stand: `$ref`s into its components are followed. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { OpenAPIV3_1 } from 'openapi-types';
import { controlDocument } from '../../../openapi/control/control-document.ts';

const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats.default(ajv);
ajv.addSchema({ $id: 'https://foregate.test/control', ...controlDocument });

/** Compiles the schema at these steps from the root of the document. */
export function schemaAt(...steps: readonly (string | number)[]): ValidateFunction {
  const pointer = steps.map((step) => String(step).replaceAll('~', '~0').replaceAll('/', '~1')).map(encodeURIComponent);
  return ajv.compile({ $ref: `https://foregate.test/control#/${pointer.join('/')}` });
}

export interface DocumentedOperation {
  readonly path: string;
  readonly method: 'get' | 'post';
  readonly operation: OpenAPIV3_1.OperationObject;
}

export function documentedOperations(): DocumentedOperation[] {
  return Object.entries(controlDocument.paths ?? {}).flatMap(([path, item]) =>
    (['get', 'post'] as const).flatMap((method) => {
      const operation = item?.[method];
      return operation ? [{ path, method, operation }] : [];
    }),
  );
}

interface Placed {
  readonly steps: readonly string[];
  readonly response: OpenAPIV3_1.ResponseObject;
}

/** The response of an operation for a status, and where it stands; undefined where it is not documented. */
export function responseOf({ path, method, operation }: DocumentedOperation, status: number): Placed | undefined {
  const response = operation.responses?.[status];
  if (!response) return undefined;
  if (!('$ref' in response)) return { steps: ['paths', path, method, 'responses', String(status)], response };
  const name = response.$ref.slice('#/components/responses/'.length);
  const shared = controlDocument.components?.responses?.[name];
  return shared && !('$ref' in shared) ? { steps: ['components', 'responses', name], response: shared } : undefined;
}
