/** What is right in the API documents of a configuration and may still surprise, with its place. */
import type { Problem } from '../core/problem.ts';
import { problemOf } from './documents.ts';
import type { LoadedConfig, LoadedRoute } from './load.ts';
import { inOrder } from './report.ts';

/** In the order of the documents. */
export function documentWarnings(loaded: LoadedConfig): Problem[] {
  const told = loaded.documents.flatMap(({ described }) => described.remarks.map((remark) => problemOf(remark, described)));
  const all = [...told, ...bufferedStreams(loaded), ...hiddenRoutes(loaded)];
  // What stands in the document or a path is told for each of its operations.
  return inOrder([...new Map(all.map((problem) => [JSON.stringify(problem), problem])).values()]);
}

/** For a person at a terminal. */
export function problemLine({ file, line, column, path, message }: Problem): string {
  const place = line === 0 ? file : `${file}:${line}:${column}`;
  return `warning: ${[place, path, message].filter((part) => part !== '').join('  ')}`;
}

/** A gateway that holds back what is streamed makes events late, or has them come all at once. */
function bufferedStreams({ documents, routes }: LoadedConfig): Problem[] {
  const described = documents.flatMap((one) => one.described.routes);
  const before = routes.length - described.length;
  return described.flatMap(({ isStream, locate }, index) => {
    const text = isStream ? holdsBack(routes[before + index]) : undefined;
    return text === undefined ? [] : [{ ...locate(['match', 'transports'], 'value'), message: text }];
  });
}

/** Of two routes for the same requests the first is found. */
function hiddenRoutes({ documents, routes }: LoadedConfig): Problem[] {
  const described = documents.flatMap((one) => one.described.routes);
  const before = routes.length - described.length;
  const first = new Map<string, string>();
  return routes.flatMap(({ settings: { id, match } }, index) => {
    const keys = requestsOf(match);
    const other = keys.map((key) => first.get(key)).find((found) => found !== undefined);
    for (const key of keys) if (!first.has(key)) first.set(key, id);
    const route = described[index - before];
    if (other === undefined || route === undefined) return [];
    return [
      {
        ...route.locate(['match', 'template'], 'value'),
        message: `has requests that the route ${other} gets, since it comes first`,
      },
    ];
  });
}

/** Each kind of request that a template matches. */
function requestsOf({ host, template, tls, transports, methods = ['*'] }: LoadedRoute['settings']['match']): string[] {
  if (template === undefined) return [];
  const place = [host?.toLowerCase(), template.replaceAll(/\{[^{}]*\}/g, '{}'), tls];
  return transports.flatMap((transport) =>
    (transport === 'websocket' ? [''] : methods).map((method) => JSON.stringify([...place, transport, method])),
  );
}

function holdsBack(route: LoadedRoute | undefined): string | undefined {
  const { title, settings } = route?.adapter.facts ?? {};
  const word = settings?.buffering;
  if (word === undefined) return undefined;
  return `streams events, which ${title ?? 'the gateway'} may hold back unless its ${word} is set, or the backend leaves the stream to Foregate by Grip-Hold`;
}
