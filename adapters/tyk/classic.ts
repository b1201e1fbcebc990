/** An API of Tyk in the form that all versions read. */
import type { GatewayAuth, GatewayRoute } from '../conversion/gateway-route.ts';
import { present, type Raw } from '../conversion/present.ts';
import { methodsOf, secondsOf, withBody } from './methods.ts';

export function classicDefinition(route: GatewayRoute): Raw {
  const { id, hosts, auth, eventsOnly } = route;
  return present({
    name: id,
    api_id: id,
    org_id: 'default',
    active: true,
    domain: hosts[0],
    ...authOf(auth),
    definition: { location: 'header', key: 'version' },
    version_data: { not_versioned: true, versions: { Default: version(route) } },
    global_rate_limit: limit(route),
    proxy: proxy(route),
    // Nothing in it means anything to Tyk.
    config_data: { foregate: { events: eventsOnly } },
  });
}

function authOf(auth: GatewayAuth): Raw {
  if (auth.kind === 'none') return { use_keyless: true };
  const strip_auth_data = auth.hidden;
  if (auth.kind === 'key') return { use_keyless: false, use_standard_auth: true, strip_auth_data, auth: place(auth.place) };
  return {
    use_keyless: false,
    enable_jwt: true,
    jwt_source: Buffer.from(auth.jwks ?? '').toString('base64'),
    jwt_signing_method: 'rsa',
    jwt_identity_base_field: 'sub',
    strip_auth_data,
    auth: { auth_header_name: 'Authorization', use_param: false },
  };
}

function place({ in: where, name }: { readonly in: string; readonly name: string }): Raw {
  if (where === 'header') return { auth_header_name: name, use_param: false };
  return { disable_header: true, use_param: true, param_name: name };
}

function version(route: GatewayRoute): Raw {
  const allowed = [{ path: '/', method_actions: { POST: { action: 'no_action', code: 200 } } }];
  return present({
    name: 'Default',
    use_extended_paths: true,
    global_size_limit: route.eventsOnly ? route.bodyBytes : undefined,
    extended_paths: present({
      white_list: route.eventsOnly ? allowed : undefined,
      size_limits: route.eventsOnly ? undefined : withBody.map((method) => ({ path: '/', method, size_limit: route.bodyBytes })),
      hard_timeouts: methodsOf(route).map((method) => ({ path: '/', method, timeout: secondsOf(route) })),
    }),
  });
}

function limit({ limits }: GatewayRoute): Raw | undefined {
  const found = limits.find(({ by }) => by === 'route');
  return found && { rate: found.count, per: found.windowSeconds };
}

function proxy({ path, backend, stripPath }: GatewayRoute): Raw {
  return {
    listen_path: path,
    target_url: backend.href.replace(/\/$/, ''),
    strip_listen_path: stripPath,
    preserve_host_header: true,
  };
}
