/** Lets in who shows a certificate: the port checks that its authority has signed it (`listen.tls.ca`), this policy whose it is. */
import { Type, type Static } from 'typebox';
import { definePolicy, deny, type Policy } from '../gateway/core/policy.ts';
import type { ClientCertificate, SessionView } from '../gateway/core/session.ts';
import { Expiry } from './expiry.ts';

const Pattern = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));

const RuleSchema = Type.Object(
  {
    CN: Pattern('Common name of the subject.'),
    O: Pattern('Organization of the subject.'),
    OU: Pattern('Organizational unit of the subject.'),
    dns: Pattern('A host name among the alternative names.'),
    uri: Pattern('A URI among them, such as `spiffe://example/chat/*`.'),
    email: Pattern('A mail address among them.'),
    ip: Pattern('An IP address among them.'),
    fingerprint: Type.Optional(
      Type.String({
        pattern: '^([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}$',
        description: 'SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` writes it.',
      }),
    ),
  },
  { additionalProperties: false, minProperties: 1 },
);

const MtlsOptions = Type.Object(
  {
    allow: Type.Optional(
      Type.Array(RuleSchema, {
        minItems: 1,
        description:
          'Whose certificates are accepted: those that one of these entries fits, in all it says. `*` stands for any characters; upper and lower case are the same in `dns` and `email`. Without it: all that the authority of the port has signed.',
      }),
    ),
    subject: Type.Enum(['CN', 'dns', 'uri', 'email'], {
      default: 'CN',
      description:
        'What of the certificate says who the client is: the subject for logs, limits and channel rules. The first such name counts; a certificate that has none is refused.',
    }),
    required: Type.Boolean({
      default: true,
      description:
        'Whether a client without a certificate is refused. That one comes at all needs `clientCertificates: request` at the port.',
    }),
    closeAtExpiry: Type.Boolean({
      default: true,
      description: 'Whether a WebSocket or a held request ends when its certificate does, a WebSocket with code 4401.',
    }),
  },
  { additionalProperties: false },
);

export const mtls = definePolicy({
  name: 'mtls',
  summary: 'Lets in who shows a client certificate.',
  options: MtlsOptions,
  create({ allow, subject, required, closeAtExpiry }, { clock }): Policy {
    const rules = allow?.map(compileRule);
    const expiry = new Expiry(clock, { text: 'The client certificate has expired.' });
    const watch = (session: SessionView): void => {
      const { certificate } = session.request;
      if (closeAtExpiry && certificate !== undefined) expiry.watch(session, certificate.expiresAt);
    };
    return {
      connect(session) {
        const { certificate } = session.request;
        if (certificate === undefined) return required ? deny('forbidden', 'A client certificate is needed.') : undefined;
        // Checked by the port when the connection began, which may be long ago.
        if (!(certificate.expiresAt > clock.now())) return deny('forbidden', 'The client certificate has expired.');
        const [name] = namesOf(certificate, subject);
        const fits = rules === undefined || rules.some((rule) => rule(certificate));
        if (name === undefined || !fits) return deny('forbidden', 'The client certificate does not allow this.');
        session.identity = { subject: name, by: 'mtls', ...(closeAtExpiry && { expiresAt: certificate.expiresAt }) };
        if (session.transport === 'websocket') watch(session);
        return undefined;
      },
      /** Only now it is known that a plain request is held: others end by themselves. */
      held: watch,
      disconnect: (session) => expiry.forget(session),
    };
  },
});

type Part = Exclude<keyof Static<typeof RuleSchema>, 'fingerprint'>;

function compileRule({ fingerprint, ...parts }: Static<typeof RuleSchema>): (certificate: ClientCertificate) => boolean {
  const tests = Object.entries(parts).map(([part, pattern]) => [part as Part, compilePattern(part, pattern)] as const); // The schema's.
  return (certificate) =>
    (fingerprint === undefined || fingerprint.toUpperCase() === certificate.fingerprint256) &&
    tests.every(([part, pattern]) => namesOf(certificate, part).some((name) => pattern.test(name)));
}

function compilePattern(part: string, pattern: string): RegExp {
  const pieces = pattern.split('*').map((piece) => piece.replaceAll(/[^\w ]/g, '\\$&'));
  return new RegExp(`^${pieces.join('.*')}$`, part === 'dns' || part === 'email' ? 'is' : 's');
}

function namesOf({ subject, altNames }: ClientCertificate, part: Part): readonly string[] {
  if (part === 'CN' || part === 'O' || part === 'OU') return subject[part] ?? [];
  return altNames.filter(({ kind }) => kind === part).map(({ value }) => value);
}
