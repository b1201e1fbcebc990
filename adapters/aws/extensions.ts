/** `x-amazon-apigateway-…` of an OpenAPI document: what API Gateway does for an operation. */
import type { ExtendedOperation, GatewayExtensions, ReadExtensions } from '../../gateway/core/gateway-extensions.ts';
import { isMapping } from '../../gateway/core/mapping.ts';
import { innermost, member, unread } from '../conversion/extension-levels.ts';
import { integrationOf } from './integration.ts';
import { securityOf } from './security.ts';

const prefix = 'x-amazon-apigateway-';
const name = `${prefix}integration`;
const read = [name, `${prefix}api-key-source`, `${prefix}binary-media-types`, `${prefix}importexport-version`];

export const awsExtensions: GatewayExtensions = {
  prefix,
  read({ path, root, levels }: ExtendedOperation): ReadExtensions {
    const found = innermost(levels, name);
    const remarks = unread(levels, prefix, read);
    if (found === undefined) return { members: [], remarks };
    const { taken, remarks: faults } = integrationOf(path, found.value);
    const { auth } = securityOf(root, levels.at(-1) ?? {});
    return {
      members:
        taken === undefined
          ? []
          : [
              ...member('backend', found, taken.backend.href.replace(/\/$/, '')),
              ...(taken.stripPath ? member('stripPath', found, true) : []),
              ...member('timeout', found, `${taken.readMs}ms`),
              ...member('auth', found, auth.kind),
              ...(auth.kind === 'key' ? member('hideCredential', found, taken.hidesKey) : []),
            ],
      remarks: [...remarks, ...faults.map((text) => ({ owner: found.owner, from: name, text })), ...sourceRemark(levels)],
    };
  },
};

/** Keys that an authorizer gives stand in no field. */
function sourceRemark(levels: ExtendedOperation['levels']): ReadExtensions['remarks'] {
  const from = `${prefix}api-key-source`;
  const owner = levels.find((level) => isMapping(level) && String(level[from]).toUpperCase() === 'AUTHORIZER');
  return owner === undefined ? [] : [{ owner, from, text: 'says that keys come from an authorizer; here they are in x-api-key' }];
}
