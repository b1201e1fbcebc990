/** The files of a proxy: where it listens, what it checks, and where it leads. */
import { backendBase, basePath } from '../conversion/cloud-route.ts';
import type { GatewayRoute, OutputFile } from '../conversion/gateway-route.ts';
import { element, writeXml, type Element } from '../conversion/xml.ts';
import { policies, type Policy } from './policies.ts';

const made = 'Made by "foregate export apigee"; made again, it is overwritten.';
const declaration = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';
/** Bodies pass as they come and are not kept. */
const streaming = ['request.streaming.enabled', 'response.streaming.enabled'].map((name) => property(name, 'true'));

/** Sorted by name. */
export function bundle(route: GatewayRoute): OutputFile[] {
  const used = policies(route);
  const files: [string, Element][] = [
    [`${route.id}.xml`, proxy(route, used)],
    ['proxies/default.xml', proxyEndpoint(route, used)],
    ['targets/default.xml', targetEndpoint(route, used)],
    ...used.map((policy): [string, Element] => [`policies/${nameOf(policy)}.xml`, policy.element]),
  ];
  return files
    .map(([name, root]) => ({ name: `apiproxy/${name}`, content: declaration + writeXml(root, made) }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function proxy(route: GatewayRoute, used: readonly Policy[]): Element {
  return element('APIProxy', { name: route.id, revision: '1' }, [
    element('BasePaths', {}, listensAt(route)),
    element('Description', {}, made),
    element('DisplayName', {}, route.id),
    element(
      'Policies',
      {},
      used.map((policy) => element('Policy', {}, nameOf(policy))),
    ),
    element('ProxyEndpoints', {}, [element('ProxyEndpoint', {}, 'default')]),
    element('TargetEndpoints', {}, [element('TargetEndpoint', {}, 'default')]),
  ]);
}

function listensAt(route: GatewayRoute): string {
  return basePath(route) || '/';
}

function proxyEndpoint(route: GatewayRoute, used: readonly Policy[]): Element {
  return element('ProxyEndpoint', { name: 'default' }, [
    flow(
      'PreFlow',
      used.filter(({ moment }) => moment === 'asked'),
    ),
    element('Flows'),
    flow('PostFlow', []),
    element('HTTPProxyConnection', {}, [element('BasePath', {}, listensAt(route)), element('Properties', {}, streaming)]),
    element('RouteRule', { name: 'default' }, [element('TargetEndpoint', {}, 'default')]),
  ]);
}

function targetEndpoint(route: GatewayRoute, used: readonly Policy[]): Element {
  const url = backendBase(route);
  const timeouts = [
    property('connect.timeout.millis', String(route.connectMs)),
    property('io.timeout.millis', String(route.readMs)),
  ];
  const checked = ['Enabled', 'Enforce'].map((name) => element(name, {}, 'true'));
  return element('TargetEndpoint', { name: 'default' }, [
    flow(
      'PreFlow',
      used.filter(({ moment }) => moment === 'passed on'),
    ),
    element('Flows'),
    flow('PostFlow', []),
    element('HTTPTargetConnection', {}, [
      element('Properties', {}, [...timeouts, ...streaming]),
      url.startsWith('https:') ? element('SSLInfo', {}, [...checked, element('IgnoreValidationErrors', {}, 'false')]) : undefined,
      element('URL', {}, url),
    ]),
  ]);
}

function flow(name: 'PreFlow' | 'PostFlow', used: readonly Policy[]): Element {
  return element(name, { name }, [element('Request', {}, used.flatMap(steps)), element('Response')]);
}

/** One for each condition; all of them lead to the same. */
function steps(policy: Policy): Element[] {
  const name = element('Name', {}, nameOf(policy));
  const { conditions } = policy;
  if (conditions === undefined) return [element('Step', {}, [name])];
  return conditions.map((condition) => element('Step', {}, [element('Condition', {}, condition), name]));
}

function nameOf(policy: Policy): string {
  return policy.element.attributes['name'] ?? '';
}

function property(name: string, value: string): Element {
  return element('Property', { name }, value);
}
