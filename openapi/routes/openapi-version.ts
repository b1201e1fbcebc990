/** Which documents can be read as OpenAPI: versions 3.0 and 3.1. */
import type { Mapping } from '../../gateway/core/mapping.ts';
import type { DocumentFinding } from '../document/document-finding.ts';

/** Undefined for a document that can be read. */
export function versionFault(root: Mapping): DocumentFinding | undefined {
  const { openapi, swagger, asyncapi } = root;
  const fault = (key: string, message: string): DocumentFinding => ({ owner: root, key, at: 'value', message });
  if (swagger !== undefined)
    return fault('swagger', 'is Swagger 2.0; convert it first, for example with swagger2openapi or at editor.swagger.io');
  if (asyncapi !== undefined && openapi === undefined)
    return fault('asyncapi', 'is an AsyncAPI document; name it under "asyncapi" instead');
  if (openapi === undefined)
    return { owner: root, at: 'value', message: 'is no OpenAPI document: it has no "openapi" with a version' };
  if (typeof openapi === 'string' && /^3\.[01]\.\d+/.test(openapi)) return undefined;
  const newer = typeof openapi === 'string' && /^3\.[2-9]/.test(openapi);
  const advice = newer ? '; write "3.1.1" if it uses nothing newer' : '';
  return fault('openapi', `must be 3.0.x or 3.1.x in quotes, found ${JSON.stringify(openapi)}${advice}`);
}
