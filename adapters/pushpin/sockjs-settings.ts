/** Makes `sockjs` of a route of a `foregate.yaml` from the properties of a Pushpin route (GRIP 7.1, 8.7). */
import type { Finding } from './finding.ts';
import { present, type Raw } from '../conversion/present.ts';
import type { PushpinRoute } from './routes-file.ts';

type Tell = (option: string, verdict: Finding['verdict'], text: string) => void;

/** `clientUrl`: `sockjs_url`, or empty. */
export function sockJsSettings(route: PushpinRoute, clientUrl: string, tell: Tell): Raw | undefined {
  const { sockjs: path, sockjsAsPath, pathBeg, replaceBeg } = route;
  if (path === undefined) return undefined;
  if (!path.startsWith(pathBeg === '' ? '/' : pathBeg)) {
    tell('sockjs', 'ignored', 'No request of this route has such a path.');
    return undefined;
  }
  if (!/^(\/[\x21-\x22\x24-\x2e\x30-\x3e\x40-\x7e]+)+$/.test(path)) {
    tell('sockjs', 'refused', 'SockJS clients cannot connect: the path must have names between its "/", and none at its end.');
    return undefined;
  }
  const asPath = sockjsAsPath ?? path;
  if (!/^\/[\x21-\x22\x24-\x3e\x40-\x7e]*$/.test(asPath) || (replaceBeg !== undefined && !asPath.startsWith(pathBeg))) {
    tell(
      'sockjs_as_path',
      'refused',
      'SockJS clients cannot connect: not a path, or not below the one that replace_beg replaces.',
    );
    return undefined;
  }
  return present({ path, asPath: asPath === path ? undefined : asPath, clientUrl: scriptUrl(clientUrl, tell) });
}

function scriptUrl(url: string, tell: Tell): string | undefined {
  if (url === '') return undefined;
  if (/^(https?:\/\/|\/)[\x21\x23-\x26\x28-\x3b\x3d\x3f-\x7e]+$/.test(url)) return url;
  tell('sockjs', 'refused', 'There is no page for iframes: sockjs_url is not the address of a script.');
  return undefined;
}
