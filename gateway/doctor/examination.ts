/** What every look at a target has to hand, and how one goes. */
import type { ClientEvent } from '../core/event.ts';
import type { Reply, RequestDraft } from '../core/exchange.ts';
import type { GatewayFacts, GatewayMatter } from '../core/gateway-facts.ts';
import type { Asker } from './asker.ts';
import type { Finding } from './finding.ts';
import type { Patient } from './patient.ts';
import type { StandIn } from './stand-in.ts';

export interface Examination {
  readonly patient: Patient;
  readonly asker: Asker;
  /** The answer to a small harmless request: what others are compared with. */
  readonly usual: Reply;
  /** Of the gateway that was recognised, else of the route's adapter. */
  readonly facts: GatewayFacts | undefined;
}

/** One look. @throws DoneAsking when it had to be left */
export type Probe = (examination: Examination) => Promise<Finding[]>;

/** One look with a backend of our own. Undefined: nothing arrived at it. @throws DoneAsking when it had to be left */
export type BackendProbe = (examination: Examination, standIn: StandIn, terms: BackendTerms) => Promise<Finding[] | undefined>;

export interface BackendTerms {
  /** How long an answer may be kept back; 0: none is. */
  readonly timeoutWaitMs: number;
}

/** What changes this at the gateway, in its own words. */
export function wordOf({ facts }: Examination, matter: GatewayMatter): { readonly gateway: string | undefined } {
  return { gateway: facts?.settings[matter] };
}

/** Nothing that means anything: a ping of nobody's session. */
export const harmless: readonly ClientEvent[] = [{ kind: 'ping', data: Buffer.from('foregate-doctor') }];

/** Pings with so many bytes of content in all, each as long as a ping may be. */
export function pings(bytes: number): ClientEvent[] {
  const full = Buffer.alloc(pingBytes, 'foregate-doctor ');
  return Array.from({ length: Math.ceil(bytes / pingBytes) }, (_, i) => ({
    kind: 'ping',
    data: full.subarray(0, Math.min(pingBytes, bytes - i * pingBytes)),
  }));
}

/** RFC 6455 section 5.5. */
const pingBytes = 125;

/** Octets of the request line and the fields, with line ends and what the asker adds. */
export function headBytes({ method, path, headers }: RequestDraft): number {
  const line = `${method} ${path} HTTP/1.1\r\nConnection: keep-alive\r\n\r\n`.length;
  return headers.reduce((sum, text) => sum + text.length + 2, line);
}
