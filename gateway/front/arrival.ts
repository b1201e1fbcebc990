/**
 * What is found out about a request before its route: whether a gateway in front sent it (GRIP 8.5), whether it came over TLS
 * (GRIP 8.2), which route it names (GRIP 7.1), and whether it has been here before (RFC 8586).
 */
import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { normalAddress } from '../core/address-list.ts';
import { header, headerValues, type HeaderList } from '../core/headers.ts';
import { limits } from '../core/limits.ts';
import type { ForwardedTerms, SignatureCheck } from '../core/route.ts';
import type { ClientRequest } from '../core/session.ts';
import { isTrusted, saysTls } from '../downstream/forwarded.ts';
import { clientCertificate } from './client-certificate.ts';

/** What the settings say of arriving requests; changes with a reload. */
export interface ArrivalTerms {
  readonly forwarded: ForwardedTerms;
  /** Of gateways in front; undefined: there are none. */
  readonly upstream: SignatureCheck | undefined;
  /** What peers that are believed say of TLS counts. */
  readonly acceptProto: boolean;
  /** The field that names a route, in lower case. */
  readonly routeHeader: string | undefined;
  readonly cdnLoop: { readonly id: string; readonly passes: number } | undefined;
}

export function arrivingRequest(
  { method = 'GET', url = '/', rawHeaders, socket }: IncomingMessage,
  terms: ArrivalTerms,
): ClientRequest {
  const request: ClientRequest = {
    method,
    path: url,
    headers: rawHeaders,
    address: normalAddress(socket.remoteAddress ?? ''),
    secure: socket instanceof TLSSocket,
  };
  const certificate = socket instanceof TLSSocket ? clientCertificate(socket) : undefined;
  const shown = certificate === undefined ? request : { ...request, certificate };
  const known = comesFromGateway(rawHeaders, terms.upstream) ? { ...shown, fromGateway: true, gripInFront: true } : shown;
  return terms.acceptProto && !known.secure && cameOverTls(known, terms.forwarded) ? { ...known, secure: true } : known;
}

/** The id of the route that the request names. */
export function namedRoute(headers: HeaderList, { routeHeader }: ArrivalTerms): string | undefined {
  return routeHeader === undefined ? undefined : header(headers, routeHeader) || undefined;
}

/** A preflight is about the request that is to follow (Fetch standard, "CORS-preflight request"). */
export function meantMethod(method: string, headers: HeaderList): string {
  return method === 'OPTIONS' ? header(headers, 'access-control-request-method') || method : method;
}

/** True for a request that has been here as often as it may. */
export function goesInCircles(headers: HeaderList, { cdnLoop }: ArrivalTerms): boolean {
  if (cdnLoop === undefined) return false;
  const id = cdnLoop.id.toLowerCase();
  const passed = headerValues(headers, 'cdn-loop').flatMap((value) => value.split(','));
  return passed.filter((one) => one.split(';', 1)[0]?.trim().toLowerCase() === id).length >= cdnLoop.passes;
}

/** Two signatures are one too many: a backend might read the other. */
function comesFromGateway(headers: HeaderList, check: SignatureCheck | undefined): boolean {
  if (check === undefined) return false;
  const [token = '', ...more] = headerValues(headers, 'grip-sig');
  return token !== '' && more.length === 0 && token.length <= limits.credentialBytes && check.fits(token);
}

function cameOverTls(request: ClientRequest, forwarded: ForwardedTerms): boolean {
  const believed = forwarded.rules?.believesAll === true || isTrusted(request, forwarded);
  return believed && saysTls(request.headers);
}
