/**
 * What a gateway gets for a credential: the client's own, moved from where browsers can put it to where this gateway looks; one
 * of this service instead, with the verified caller in a field beside it; or none.
 */
import type { AdapterSettings } from '../gateway/core/adapter.ts';
import { findCredential, type FoundCredential } from '../gateway/core/credential.ts';
import type { RequestDraft, RequestHead } from '../gateway/core/exchange.ts';
import { fields, header, isHeaderValue, normalName, withoutHeaders, type HeaderList } from '../gateway/core/headers.ts';
import { deny } from '../gateway/core/policy.ts';
import type { Profile } from '../gateway/core/profile.ts';
import type { ConsumedCredential, Denial, SessionView } from '../gateway/core/session.ts';

export interface CredentialHandling extends Pick<Profile, 'take' | 'prepare' | 'restate' | 'dressLink'> {
  /** Fields that are not the client's to set, in lower case. */
  readonly ownHeaders: readonly string[];
}

/** `usualHeader`: where the gateway looks unless the settings say otherwise. */
export function credentialHandling(settings: AdapterSettings, usualHeader: string | undefined): CredentialHandling {
  const to = settings.to ?? (usualHeader === undefined ? {} : { header: usualHeader });
  if (settings.credentials !== 'relay') return withheld(settings, to);
  return settings.from === undefined ? asItCame(settings, usualHeader) : relayed(settings, settings.from, to);
}

type Places = NonNullable<AdapterSettings['from']>;
type Destination = NonNullable<AdapterSettings['to']>;

/** Nobody has said where it stands: where such gateways look, or where HTTP has it. */
function asItCame({ links }: AdapterSettings, usualHeader: string | undefined): CredentialHandling {
  const names = [...(usualHeader === undefined ? [] : [usualHeader]), 'Authorization'];
  return {
    prepare: () => undefined,
    ownHeaders: [],
    ...(links === 'credentials' && {
      dressLink(draft, _session, first) {
        copy(names, first, draft);
        return undefined;
      },
    }),
  };
}

/** A client without a credential goes on as it came: its gateway says what it thinks of that. */
function relayed({ prefix, links }: AdapterSettings, from: Places, to: Destination): CredentialHandling {
  const taken = new WeakMap<SessionView, string>();
  return {
    ownHeaders: [],
    take(session) {
      const found = findCredential(session.request, from);
      if (found.kind !== 'found') return refusalOf(found);
      if (!isSendable(found.value)) return unfit;
      // A policy that used it up has said that it does not go on.
      if (!isUsedUp(found.places, session.consumed)) taken.set(session, found.value);
      session.consumed.push(...found.places);
      return takeAway(session, parameterOf(to));
    },
    prepare(head, session) {
      const value = taken.get(session);
      if (value !== undefined) put(head, to, prefix + value);
    },
    ...(links === 'credentials' && {
      dressLink(draft, session, first) {
        const value = taken.get(session);
        // A field is taken as the session's own requests have it: policies may have written into it since.
        if (to.header !== undefined) copy([to.header], first, draft);
        else if (value !== undefined) put(draft, to, prefix + value);
        return undefined;
      },
    }),
  };
}

/** Nothing of the client's reaches the gateway; with a secret that is what it gets. */
function withheld({ from = {}, prefix, secret, consumer, links }: AdapterSettings, to: Destination): CredentialHandling {
  const ownHeaders = [from.header, to.header, consumer].flatMap((name) => (name === undefined ? [] : [name.toLowerCase()]));
  return {
    ownHeaders,
    take(session) {
      const refusal = takeAway(session, from) ?? takeAway(session, parameterOf(to));
      return refusal ?? (consumer === undefined ? undefined : unnamed(session));
    },
    prepare(head, { identity }) {
      if (secret !== undefined) put(head, to, prefix + secret);
      if (consumer !== undefined && identity !== undefined) put(head, { header: consumer }, identity.subject);
    },
    ...(consumer !== undefined && { restate: (draft, session) => restated(draft, session, consumer) }),
    ...(links === 'credentials' && {
      dressLink(draft, session) {
        if (secret !== undefined) put(draft, to, prefix + secret);
        return consumer === undefined ? undefined : restated(draft, session, consumer);
      },
    }),
  };
}

/** What stands there does not go on. */
function takeAway(session: SessionView, places: Places): Denial | undefined {
  const found = findCredential(session.request, places);
  if (found.kind === 'found') session.consumed.push(...found.places);
  return refusalOf(found);
}

/** Fields that are set are taken from clients by their name; parameters have to be looked for. */
function parameterOf({ query }: Destination): Places {
  return query === undefined ? {} : { query };
}

/** Policies may learn in the midst of a session that the caller has another name. */
function restated(draft: RequestDraft, session: SessionView, consumer: string): Denial | undefined {
  const refusal = unnamed(session);
  if (
    refusal === undefined &&
    session.identity !== undefined &&
    header(draft.headers, consumer.toLowerCase()) !== session.identity.subject
  )
    put(draft, { header: consumer }, session.identity.subject);
  return refusal;
}

/** Without a name the service would vouch for nobody knows whom. */
function unnamed({ identity }: SessionView): Denial | undefined {
  if (identity === undefined) return deny('unauthorized', 'Credentials are needed.');
  return isSendable(identity.subject) ? undefined : unfit;
}

const unfit = deny('bad-request', 'The credential has characters that cannot be sent on.');

function refusalOf(found: FoundCredential): Denial | undefined {
  return found.kind === 'unclear' ? deny('bad-request', found.detail) : undefined;
}

function isUsedUp(places: readonly ConsumedCredential[], consumed: readonly ConsumedCredential[]): boolean {
  return places.some((place) => consumed.some((used) => used.in === place.in && isSameName(used, place)));
}

function isSameName(one: ConsumedCredential, other: ConsumedCredential): boolean {
  return one.in === 'header' ? normalName(one.name) === normalName(other.name) : one.name === other.name;
}

/** No control characters, and nothing that has no byte in a field. */
function isSendable(value: string): boolean {
  return isHeaderValue(value) && !/\p{Cc}/u.test(value);
}

function copy(names: readonly string[], from: HeaderList, draft: RequestDraft): void {
  const wanted = new Set(names.map(normalName));
  for (const [name, value] of fields(from)) if (wanted.has(normalName(name))) draft.headers.push(name, value);
}

function put(head: RequestHead, to: Destination, value: string): void {
  if (to.header !== undefined) {
    const own = normalName(to.header);
    head.headers = withoutHeaders(head.headers, (name) => normalName(name) === own);
    head.headers.push(to.header, value);
  }
  if (to.query !== undefined) {
    const parameter = `${encodeURIComponent(to.query)}=${encodeURIComponent(value)}`;
    head.path += (head.path.includes('?') ? '&' : '?') + parameter;
  }
}
