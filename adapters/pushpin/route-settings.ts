/** Makes routes of a `foregate.yaml` from those of a Pushpin routes file (GRIP 7.1). */
import { isHeaderName, isHeaderValue, isHopByHop } from '../../gateway/core/headers.ts';
import { isChannelName } from '../../gateway/core/ids.ts';
import type { PushpinConf } from './conf-file.ts';
import type { Finding } from './finding.ts';
import { isKey, keySource, noKey } from './key-source.ts';
import { reachOf, type Reach } from './precedence.ts';
import { present, presentOrNone, type Raw } from '../conversion/present.ts';
import { RouteNames } from './route-names.ts';
import type { PushpinRoute, PushpinTarget } from './routes-file.ts';
import { sockJsSettings } from './sockjs-settings.ts';
import { targetSettings } from './target-settings.ts';

export interface RouteTerms {
  readonly conf: PushpinConf;
  /** The name that findings get. */
  readonly file: string;
  /** Where relative paths start. */
  readonly folder: string;
}

export interface RoutesSettings {
  readonly routes: readonly Raw[];
  /** For each of them the line it came from. */
  readonly lines: readonly number[];
  readonly findings: readonly Finding[];
}

/** What is told of one route. */
export type Tell = (option: string, verdict: Finding['verdict'], text: string) => void;

export function routesSettings(all: readonly PushpinRoute[], { conf, file, folder }: RouteTerms): RoutesSettings {
  const findings: Finding[] = [];
  const made: { readonly line: number; readonly route: Raw }[] = [];
  const names = new RouteNames(all, conf.acceptPushpinRoute);
  const sound = all.filter((route) => {
    const fault = faultOf(route);
    if (fault !== undefined) findings.push({ file, line: route.line, option: '', verdict: 'refused', text: fault });
    return fault === undefined;
  });
  for (const route of sound) {
    const { line } = route;
    const tell: Tell = (option, verdict, text) => findings.push({ file, line, option, verdict, text });
    const lost = unlikeOf(route);
    if (lost !== undefined) {
      tell(lost.option, 'refused', `The line is left out, so its requests go to another route, if one fits: ${lost.text}`);
      continue;
    }
    const matches = matchesOf(route, { others: sound, byId: conf.acceptPushpinRoute && names.isOwn(route), tell });
    for (const [index, match] of matches.entries()) {
      const once = index === 0 ? tell : unheard;
      const options = optionsOf(route, { match, conf, folder, tell: once });
      if (options === undefined) break;
      made.push({ line, route: { id: names.next(route, once), match: match.settings, ...options } });
    }
  }
  return { routes: made.map(({ route }) => withoutEmpty(route)), lines: made.map(({ line }) => line), findings };
}

/** The second part of a route has the same to tell as the first. */
const unheard: Tell = () => undefined;

function withoutEmpty({ match, ...rest }: Raw): Raw {
  const { id, ...options } = rest;
  return present({ id, match: presentOrNone(match as Raw), ...options });
}

/** Why no request can ever get there, also with Pushpin. */
function faultOf({ host, pathBeg, replaceBeg }: PushpinRoute): string | undefined {
  if (host !== host.toLowerCase())
    return `Pushpin looks for hosts in lower case, so ${shown(host)} never fits. Write it in lower case if it shall.`;
  if (host.includes('*') && host !== '*')
    return `Pushpin takes ${shown(host)} for the name of one host, so it never fits. Foregate knows *.example.com, if that was meant.`;
  if (host !== '*' && host !== '' && !/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(host))
    return `${shown(host)} is not the name of a host without port, so it never fits.`;
  if (pathBeg !== '' && !/^\/[\x21-\x7e]*$/.test(pathBeg)) return `No path of a request begins with ${shown(pathBeg)}.`;
  if (replaceBeg !== undefined && replaceBeg !== '' && !/^\/[\x21-\x22\x24-\x3e\x40-\x7e]*$/.test(replaceBeg))
    return `With ${shown(replaceBeg)} at its beginning no path is one.`;
  return undefined;
}

/** Why a route would take other requests than it does with Pushpin, or lead elsewhere. */
function unlikeOf({ host }: PushpinRoute): Unlike | undefined {
  if (host.includes('_')) return { option: '', text: `Foregate takes no host with "_": ${shown(host)}.` };
  return undefined;
}

interface Unlike {
  readonly option: string;
  readonly text: string;
}

function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);
}

export interface Match {
  readonly settings: Raw;
  readonly transports: Reach['transports'];
}

interface Rivals {
  readonly others: readonly PushpinRoute[];
  /** Whether clients may choose the route by its id. */
  readonly byId: boolean;
  readonly tell: Tell;
}

/** Mostly one; none for a route that nobody reaches; two where other routes leave it something different of each transport. */
function matchesOf(route: PushpinRoute, { others, byId, tell }: Rivals): Match[] {
  const reaches = route.host === '' ? [] : reachOf(route, others);
  const [first, ...more] = reaches.map((reach) => matchOf(route, reach));
  if (first !== undefined) return [byId ? { ...first, settings: { ...first.settings, byId: 'also' } } : first, ...more];
  if (byId) return [{ settings: { ...placeOf(route), byId: 'only' }, transports: ['websocket', 'http'] }];
  tell('', 'ignored', route.host === '' ? unchosen : 'Other routes take all requests of this one.');
  return [];
}

const unchosen =
  'Without host a route is chosen by its id only, and accept_pushpin_route is off, or the id is missing or stands twice.';

function matchOf(route: PushpinRoute, { transports, tls }: Reach): Match {
  const settings = present({ ...placeOf(route), transports: transports.length === 2 ? undefined : transports, tls });
  return { settings, transports };
}

function placeOf({ host, pathBeg }: PushpinRoute): Raw {
  return present({
    host: host === '*' || host === '' ? undefined : host,
    path: pathBeg === '' || pathBeg === '/' ? undefined : pathBeg,
  });
}

interface OptionTerms {
  readonly match: Match;
  readonly conf: PushpinConf;
  readonly folder: string;
  readonly tell: Tell;
}

/** Undefined if no target is left. */
function optionsOf(route: PushpinRoute, { match, conf, folder, tell }: OptionTerms): Raw | undefined {
  const targets = reachedTargets(route).flatMap(
    (target) => targetSettings(target, { route, transports: match.transports, folder, tell }) ?? [],
  );
  const [target, ...more] = targets;
  if (target === undefined) {
    tell('', 'refused', 'The line is left out, so its requests go to another route, if one fits: no target can be taken over.');
    return undefined;
  }
  tellIgnored(route, conf, tell);
  return present({
    ...(more.length === 0 ? { target } : { targets }),
    path: pathSettings(route, tell),
    sockjs: sockJsSettings(route, conf.sockJsUrl, tell),
    grip: route.noGrip ? false : undefined,
    signature: signatureOf(route, { conf, folder, tell }),
    channelPrefix: prefixOf(route, tell),
    headers: headersOf(route, tell),
    ...(route.aco || conf.autoCrossOrigin ? { cors: true, jsonp: jsonpSettings(route, tell) } : {}),
    debug: route.debug ? true : undefined,
  });
}

/** The backend built into Pushpin is always there, so none after it is ever tried. */
function reachedTargets({ targets }: PushpinRoute): readonly PushpinTarget[] {
  const end = targets.findIndex(({ place }) => place.kind === 'test');
  return end < 0 ? targets : targets.slice(0, end + 1);
}

function signatureOf({ sigIss, sigKey }: PushpinRoute, { conf, folder, tell }: Omit<OptionTerms, 'match'>): Raw | undefined {
  const own = sigKey !== undefined && sigKey !== '';
  if (own && !isKey(sigKey)) {
    tell('sig_key', 'refused', `${noKey} The key of all routes is used, if there is one.`);
    return undefined;
  }
  const key = own ? keySource(sigKey, folder) : undefined;
  const issuer = sigIss === '' ? undefined : sigIss;
  if (key !== undefined || isKey(conf.sigKey)) return presentOrNone({ issuer, key });
  if (issuer !== undefined) tell('sig_iss', 'ignored', 'There is no key to sign with.');
  return undefined;
}

function jsonpSettings({ jsonp }: PushpinRoute, tell: Tell): Raw {
  const { mode, callback, body, defaultCallback, defaultMethod } = jsonp;
  const method = defaultMethod === undefined || methods.has(defaultMethod) ? defaultMethod : undefined;
  const own = defaultCallback === undefined || isCallback(defaultCallback) ? defaultCallback : undefined;
  if (method !== defaultMethod)
    tell('jsonp_defmethod', 'refused', `Not a method that Foregate uses: ${shown(defaultMethod ?? '')}.`);
  if (own !== defaultCallback) tell('jsonp_defcb', 'refused', `Not the name of a function: ${shown(defaultCallback ?? '')}.`);
  const name = (text: string | undefined): string | undefined => (text === '' ? undefined : text);
  return present({ mode, callback: name(callback), body: name(body), defaultCallback: own, method });
}

const methods: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD']);

function isCallback(text: string): boolean {
  return /^[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)*$/.test(text);
}

function pathSettings({ pathBeg, pathRem, replaceBeg, targets }: PushpinRoute, tell: Tell): Raw | undefined {
  if (targets[0]?.place.kind === 'test') return removed(pathBeg.replace(/\/$/, '').length);
  if (replaceBeg !== undefined) {
    if (pathRem > 0) tell('path_rem', 'ignored', 'replace_beg beats it, in Pushpin too.');
    // Without path_beg nothing is cut off, and here the "/" of every path would be.
    return { replace: pathBeg === '' ? `${replaceBeg}/` : replaceBeg };
  }
  return removed(pathRem);
}

function removed(characters: number): Raw | undefined {
  return characters > 0 ? { remove: characters } : undefined;
}

function prefixOf({ prefix }: PushpinRoute, tell: Tell): string | undefined {
  if (prefix === '' || isChannelName(prefix)) return prefix === '' ? undefined : prefix;
  tell('prefix', 'refused', 'Not a channel name: too long, or with control characters.');
  return undefined;
}

/** Of a name that stands twice the first one holds, as in Pushpin. */
function headersOf({ headers }: PushpinRoute, tell: Tell): Raw | undefined {
  const taken = new Map<string, readonly [string, string]>();
  for (const [name, value] of headers) {
    const fault =
      headerFault(name, value) ?? (taken.has(name.toLowerCase()) ? 'The first of this name holds, in Pushpin too.' : undefined);
    if (fault === undefined) taken.set(name.toLowerCase(), [name, value]);
    else tell('header', taken.has(name.toLowerCase()) || isWritten(name) ? 'ignored' : 'refused', `${shown(name)}: ${fault}`);
  }
  return presentOrNone(Object.fromEntries(taken.values()));
}

function headerFault(name: string, value: string): string | undefined {
  if (!isHeaderName(name)) return 'Not the name of a header field.';
  if (isWritten(name)) return 'Foregate writes this field itself.';
  if (!isHeaderValue(value)) return 'The value has characters that a header field cannot hold.';
  return value.startsWith('file:') ? 'A value that begins with "file:" would be read from a file.' : undefined;
}

const written: ReadonlySet<string> = new Set(['host', 'content-length', 'connection-id']);

function isWritten(name: string): boolean {
  const lower = name.toLowerCase();
  return isHopByHop(lower) || written.has(lower) || lower.startsWith('grip-');
}

/** Properties without a place in the settings. */
function tellIgnored(route: PushpinRoute, { autoCrossOrigin }: PushpinConf, tell: Tell): void {
  if (route.origHeaders) tell('orig_headers', 'refused', 'Copies of original header fields under a marker prefix are not made.');
  if (route.session) tell('session', 'refused', 'Sessions are not looked up in a store outside.');
  if (route.logLevel !== undefined) tell('log_level', 'ignored', 'The log has one level for all routes: log.level.');
  const jsonp = Object.values(route.jsonp).some((value) => value !== undefined);
  if (jsonp && !route.aco && !autoCrossOrigin) tell('jsonp', 'ignored', 'Without aco there is no JSONP, in Pushpin neither.');
  if (route.sockjs === undefined && route.sockjsAsPath !== undefined) tell('sockjs_as_path', 'ignored', 'There is no sockjs.');
}
