/** The settings of what Foregate listens on: ports for clients, the control API, ZeroMQ, metrics. */
import { Type } from 'typebox';
import { Pem, Secret } from './secret.ts';
import { flag, policyList, port } from './setting-types.ts';

export const ListenSchema = Type.Object(
  {
    host: Type.String({ minLength: 1, default: '0.0.0.0', description: 'Address to listen on.' }),
    port: port(7999, 'Port to listen on; 0 takes any free one.'),
    socket: Type.Optional(
      Type.String({
        minLength: 1,
        examples: ['/run/foregate/clients.sock'],
        description: 'Path of a Unix socket to listen on, instead of `host` and `port`. Its clients have the address `unix`.',
      }),
    ),
    socketMode: Type.Optional(
      Type.String({
        pattern: '^0?[0-7]{3}$',
        examples: ['0666'],
        description: 'Who may connect to the socket, as `chmod` has it, in quotes. Left out: `0660`.',
      }),
    ),
    tls: Type.Optional(
      Type.Object(
        {
          cert: Type.Optional(Pem({ description: 'Certificate chain (PEM). A file is read again when it changes.' })),
          key: Type.Optional(Secret({ description: 'Private key (PEM). A file is read again when it changes.' })),
          ca: Type.Optional(
            Pem({ description: 'Clients are asked for a certificate signed by this authority (PEM); see the policy `mtls`.' }),
          ),
          clientCertificates: Type.Optional(
            Type.Enum(['request', 'require'], {
              description:
                'What happens to clients without such a certificate. `require`, which holds where nothing is said: there is no connection. `request`: they may come, and the policy `mtls` decides on each route.',
            }),
          ),
          folder: Type.Optional(
            Type.String({
              minLength: 1,
              examples: ['tls/certs'],
              description:
                'Instead of `cert` and `key`: a folder with `HOST.crt` and `HOST.key` for each host that clients ask for, else `_.PARENT-DOMAIN.crt`, else `default_PORT.crt` or `default.crt`. Files are read again when they change.',
            }),
          ),
        },
        { description: 'Makes the port speak TLS (`wss://`, `https://`): `cert` and `key`, or `folder`.' },
      ),
    ),
    http2: Type.Optional(
      Type.Boolean({
        description: 'HTTP/2 beside HTTP/1.1, for clients that ask for it (ALPN). Left out: on where there is `tls`.',
      }),
    ),
  },
  { description: 'One port or Unix socket for clients.' },
);

const zeroMqSpec = (description: string) =>
  Type.String({
    pattern: '^(tcp://.+:[0-9]{1,5}|ipc://.+)$',
    examples: ['tcp://127.0.0.1:5560', 'ipc:///run/foregate/in'],
    description,
  });

const ZeroMqSchema = Type.Object(
  {
    pull: Type.Optional(zeroMqSpec('Takes items from PUSH sockets.')),
    subscribe: Type.Array(zeroMqSpec('Where PUB sockets publish.'), {
      default: [],
      description: 'Takes items from PUB sockets, those of channels with subscribers.',
    }),
    connect: flag(false, '`subscribe` names publishers to connect to. `false`: publishers connect to Foregate there.'),
    commands: Type.Optional(zeroMqSpec('Answers the commands of REQ sockets.')),
    unprotected: flag(
      false,
      'Let other machines reach these sockets, which ask nobody who he is: needed for `tcp://` on anything but a loopback address.',
    ),
    optional: flag(false, 'Start without these sockets, and with a warning, if the package `zeromq` is not installed.'),
  },
  {
    description:
      'Sockets of ZeroMQ as Pushpin has them, for publishers that know no HTTP. They need the package `zeromq`: `npm install zeromq@6`. `auth` does not hold for them; `policies` do.',
  },
);

export const ControlSchema = Type.Object(
  {
    host: Type.String({
      minLength: 1,
      default: '127.0.0.1',
      description: 'Address to listen on. Anything but a loopback address needs `auth` or `tls.ca`.',
    }),
    port: port(5561, 'Port to listen on; 0 takes any free one.'),
    tls: Type.Optional(
      Type.Object(
        {
          cert: Pem({ description: 'Certificate chain (PEM).' }),
          key: Secret({ description: 'Private key (PEM).' }),
          ca: Type.Optional(Pem({ description: 'Callers must show a certificate signed by this authority (PEM).' })),
        },
        { description: 'Makes the port speak TLS.' },
      ),
    ),
    auth: Type.Object(
      {
        bearer: Type.Array(Secret({ description: 'A token.' }), {
          default: [],
          description: 'Tokens accepted in `Authorization: Bearer`.',
        }),
        jwt: Type.Array(
          Type.Object({
            issuer: Type.String({ minLength: 1, description: 'The `iss` claim that goes with the key.' }),
            key: Secret({ description: 'Key of the signature: text, `base64:...`, or a public key (PEM).' }),
          }),
          { default: [], description: 'Signed tokens accepted in `Authorization: Bearer`, as GRIP libraries send them.' },
        ),
        basic: Type.Array(
          Type.Object({
            user: Type.String({ minLength: 1, description: 'User name.' }),
            password: Secret({ description: 'Password.' }),
          }),
          { default: [], description: 'Accounts accepted in `Authorization: Basic`.' },
        ),
      },
      {
        default: {},
        description: 'Who may call: one fitting entry is enough. With no entry at all everybody who can reach the port may.',
      },
    ),
    policies: policyList('Rules for publishers, in order; see [policies](policies.md).'),
    zeromq: Type.Optional(ZeroMqSchema),
  },
  { default: {}, description: 'The control API: publishing, health, metrics, sessions.' },
);

export const MetricsSchema = Type.Object(
  {
    prefix: Type.String({
      pattern: '^([A-Za-z_:][A-Za-z0-9_:]*)?$',
      examples: ['pushpin_'],
      default: '',
      description: 'Put before the names that Pushpin has too, such as `request_received`; all others begin with `foregate_`.',
    }),
    port: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 65_535,
        examples: [9090],
        description:
          'A port of their own, where any path answers and nobody is asked who he is; 0 takes any free one. Left out: none.',
      }),
    ),
    host: Type.String({ minLength: 1, default: '127.0.0.1', description: 'Address of that port.' }),
  },
  {
    default: {},
    description: 'What Prometheus reads: at `/metrics` of the control API, and at a port of its own if there is one.',
  },
);
