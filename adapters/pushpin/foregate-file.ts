/** Writes imported settings as a `foregate.yaml` for people: what was not taken over stands beside it as comments. */
import { Document, isMap, isScalar, type Pair } from 'yaml';
import { comment } from '../conversion/comment.ts';
import type { Finding } from './finding.ts';
import type { Imported } from './settings.ts';

/** The same text for the same files: no time, no version. */
export function writeForegateFile({ settings, lines, findings }: Imported, names: { conf: string; routes: string }): string {
  const document = new Document(settings, { aliasDuplicateObjects: false });
  const byRoute = new Map<number, string>();
  for (const [index, line] of lines.entries())
    byRoute.set(index, routeComment(line, index, lines, ofLine(findings, names.routes, line)));
  const untold = findings.filter(({ file, line }) => file !== names.routes || !lines.includes(line));
  document.commentBefore = comment(headComment(untold, names));
  for (const [path, text] of reasons) explain(document, path, text);
  if (document.getIn(['grip', 'key']) === 'changeme') explain(document, ['grip', 'key'], wellKnownKey);
  for (const [index, text] of byRoute) {
    const route: unknown = document.getIn(['routes', index], true);
    if (isMap(route)) route.commentBefore = comment(text);
  }
  return document.toString({ lineWidth: 0 });
}

function headComment(findings: readonly Finding[], names: { conf: string; routes: string }): string {
  const head = `Made by "foregate import pushpin" from ${names.conf} and ${names.routes}. What Foregate does not do as Pushpin did stands in comments.`;
  const blocks = (['refused', 'ignored'] as const).flatMap((verdict) => {
    const own = findings.filter((finding) => finding.verdict === verdict);
    return own.length === 0 ? [] : [[blockTitles[verdict], ...own.map((finding) => `  ${placed(finding)}`)].join('\n')];
  });
  return [head, ...blocks].join('\n\n');
}

const blockTitles = {
  refused: 'Not taken over, and perhaps missed:',
  ignored: 'Not taken over, and mostly not missed:',
} as const;

function placed(finding: Finding): string {
  const place = finding.line === 0 ? finding.file : `${finding.file}:${finding.line}`;
  return `${place} ${told(finding)}`;
}

function told({ option, text }: Finding): string {
  return option === '' ? text : `${option}: ${text}`;
}

function ofLine(findings: readonly Finding[], file: string, line: number): Finding[] {
  return findings.filter((finding) => finding.file === file && finding.line === line);
}

/** The findings of a line stand before the first of its routes. */
function routeComment(line: number, index: number, lines: readonly number[], findings: readonly Finding[]): string {
  if (lines[index - 1] === line) return `Line ${line} again: other routes leave it something else of plain HTTP.`;
  const texts = findings.map((finding) => (finding.verdict === 'refused' ? `Not taken over: ${told(finding)}` : told(finding)));
  return [`Line ${line}.`, ...texts].join('\n');
}

const wellKnownKey = "Pushpin's own key, which everybody knows: change it here and in the backends, better as ${NAME}.";

/** Why a setting differs from what Foregate does by itself. */
const reasons: readonly (readonly [path: readonly string[], text: string])[] = [
  [
    ['forwarded'],
    'Pushpin believes everybody in X-Forwarded-* and the like, as this does. Name the proxies in front in trustedProxies, or delete it if there are none.',
  ],
  [['cdnLoop'], 'Pushpin refuses nothing; this allows ten passes before it takes them for a circle.'],
  [['routeHeader'], 'Every client may choose a route with byId.'],
  [['exclusiveHosts'], 'A host with routes of its own never uses those for all hosts.'],
  [['noRouteStatus'], 'Foregate itself would say 404.'],
  [
    ['stripHeaders'],
    'Pushpin passes every header field of a client. Without this line those by which gateways vouch for callers are removed.',
  ],
  [['publish'], 'The order of items that name the one before, and the memory for items that come twice.'],
  [
    ['control', 'zeromq'],
    'For publishers that use ZeroMQ, if the package is installed (npm install zeromq@6); take it out if there are none.',
  ],
  [['routes'], 'timeout: Pushpin waits for a reply as long as that. A shorter time is better.'],
  [['defaults', 'closeFrames'], 'Pushpin ends a WebSocket without a close frame when something fails.'],
  [['defaults', 'slowClients'], 'Pushpin leaves out items that a slow client has no room for.'],
];

function explain(document: Document, path: readonly string[], text: string): void {
  const parent: unknown = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (!isMap(parent)) return;
  const pair = parent.items.find(({ key }: Pair) => isScalar(key) && key.value === path.at(-1));
  if (pair && isScalar(pair.key)) pair.key.commentBefore = comment(text);
}
