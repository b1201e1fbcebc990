/** Which documents can be read as AsyncAPI: version 3. */
import type { Mapping } from '../../gateway/core/mapping.ts';
import type { DocumentFinding } from '../document/document-finding.ts';

/** Undefined for a document that can be read. */
export function asyncApiVersionFault(root: Mapping): DocumentFinding | undefined {
  const { asyncapi, openapi, swagger } = root;
  const fault = (key: string, message: string): DocumentFinding => ({ owner: root, key, at: 'value', message });
  if (asyncapi === undefined && (openapi ?? swagger) !== undefined)
    return fault(openapi === undefined ? 'swagger' : 'openapi', 'is an OpenAPI document; name it under "openapi" instead');
  if (asyncapi === undefined)
    return { owner: root, at: 'value', message: 'is no AsyncAPI document: it has no "asyncapi" with a version' };
  if (typeof asyncapi === 'string' && /^3\.[01]\.\d+/.test(asyncapi)) return undefined;
  return fault('asyncapi', `must be 3.0.x or 3.1.x, found ${JSON.stringify(asyncapi)}${advice(asyncapi)}`);
}

/** In version 2 the directions are those of the other side, and operations stand inside of channels. */
function advice(version: unknown): string {
  if (!/^[12](\.|$)/.test(String(version))) return '';
  return '; convert it first: asyncapi convert FILE --target-version=3.0.0 (npm install -g @asyncapi/cli)';
}
