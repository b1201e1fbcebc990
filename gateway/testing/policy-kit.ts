/** What a test of a policy needs: a session that remembers what was done to it, and the policy, made from checked options. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { realClock } from '../core/clock.ts';
import type { Message } from '../core/event.ts';
import type { HeaderDraft } from '../core/headers.ts';
import { newSessionId, routeId } from '../core/ids.ts';
import { silentLog } from '../core/log.ts';
import { noMetrics } from '../core/metrics.ts';
import { runHooks, type ConnectVerdict, type Policy, type PolicyContext, type PolicyDefinition } from '../core/policy.ts';
import { noRevocations } from '../core/revocation.ts';
import { noMetadata, type ClientRequest, type Denial, type SessionView } from '../core/session.ts';
import { memoryStore } from '../engines/memory-store.ts';

export interface TestSession extends SessionView {
  /** What the policy sent to the client. */
  readonly sent: readonly Message[];
  /** How the policy ended the session; the first time counts. */
  readonly ended: Denial | undefined;
}

export interface TestSessionOptions extends Partial<ClientRequest> {
  /** Default: `websocket`. */
  readonly transport?: SessionView['transport'];
  /** Default: now. */
  readonly openedAt?: number;
}

/** A session that has just arrived: a WebSocket handshake for `/` from 192.0.2.1 with no header fields, unless told otherwise. */
export function testSession({
  transport = 'websocket',
  openedAt = Date.now(),
  ...request
}: TestSessionOptions = {}): TestSession {
  const sent: Message[] = [];
  let ended: Denial | undefined;
  return {
    id: newSessionId(),
    routeId: routeId('test'),
    transport,
    request: { method: 'GET', path: '/', headers: [], address: '192.0.2.1', secure: true, ...request },
    openedAt,
    state: noMetadata,
    meta: noMetadata,
    identity: undefined,
    consumed: [],
    sent,
    get ended() {
      return ended;
    },
    send: (message) => void sent.push(message),
    end: (denial) => void (ended ??= denial),
  };
}

export function textMessage(text: string): Message {
  return { kind: 'text', data: Buffer.from(text) };
}

/** The wrong places in options, one sentence each; empty when the policy's schema takes them. */
export function optionErrors(definition: PolicyDefinition, options: unknown): readonly string[] {
  return check(definition, options).errors;
}

/**
 * Makes a policy as the program does: options are checked by its schema and get its defaults.
 * @throws Error that lists what the schema refuses; and whatever `create` throws.
 */
export async function createPolicy(
  definition: PolicyDefinition,
  options: unknown = {},
  context: Partial<PolicyContext> = {},
): Promise<Policy> {
  const { checked, errors } = check(definition, options);
  if (errors.length > 0) throw new Error(`The options of ${definition.name} are not valid: ${errors.join('; ')}`);
  return definition.create(checked, { ...testContext(), ...context });
}

/** Runs `connect`; `answer` holds the header fields for the client. */
export async function connect(
  policy: Policy,
  session: SessionView,
): Promise<{ readonly verdict: ConnectVerdict; readonly answer: HeaderDraft }> {
  const answer: HeaderDraft = [];
  const hooks = policy.connect ? [policy.connect.bind(policy)] : [];
  return { verdict: await runHooks(hooks, session, answer), answer };
}

function testContext(): PolicyContext {
  return {
    store: memoryStore(),
    clock: realClock,
    log: silentLog,
    metrics: noMetrics,
    revocations: noRevocations,
    programKey: Buffer.alloc(32, 'test'),
    scope: 'test',
    directory: process.cwd(),
    trusts: () => false,
  };
}

function check(
  { options: schema }: PolicyDefinition,
  options: unknown,
): { readonly checked: unknown; readonly errors: readonly string[] } {
  const checked: unknown = structuredClone(options);
  const isValid = new Ajv2020({ useDefaults: true, allErrors: true, strict: false }).compile(schema);
  if (isValid(checked)) return { checked, errors: [] };
  return {
    checked,
    errors: (isValid.errors ?? []).map((error) => `${error.instancePath || '/'} ${error.message ?? error.keyword}`),
  };
}
