/** Pieces of the schemas of the settings, and marks that the reference and the file's own schema read. */
import { Type } from 'typebox';
import { Secret } from './secret.ts';

/** What fills in a required field that the file may leave out; shown in the reference as its default. */
export const derivedMark = 'x-foregate-derived';

export const port = (number: number, description: string) =>
  Type.Integer({ minimum: 0, maximum: 65_535, default: number, description });

export const count = (number: number, description: string, minimum = 1) =>
  Type.Integer({ minimum, default: number, description });

export const flag = (on: boolean, description: string) => Type.Boolean({ default: on, description });

export const redisUrl = () =>
  Type.Optional(
    Secret({
      description: 'Where Redis is: `redis://` or, with TLS, `rediss://`; user, password, host, port and number of the database.',
    }),
  );

/** Visible ASCII: it goes into names of Redis as it is. */
export const redisPrefix = (description: string) =>
  Type.String({ pattern: '^[\\x21-\\x7e]{0,128}$', examples: ['chat-gateways:'], default: 'foregate:', description });

/** What `dryRun` beside any `use` means. */
export const dryRunText =
  'With `true` the policy decides, counts and logs, but everything passes: what it would have refused is told in the log (`policy.would-deny`) and counted (`foregate_policy_dry_run_denials_total`).';

/** `use` names the policy, the rest of the mapping is its options. */
export const UseSchema = Type.Object(
  {
    use: Type.String({ minLength: 1, description: 'The name of a policy, a file (`./mine.mjs`) or an installed package.' }),
    dryRun: Type.Optional(Type.Boolean({ description: dryRunText })),
  },
  { additionalProperties: true, description: 'A policy and its options.' },
);

export const policyList = (description: string) => Type.Array(UseSchema, { default: [], description });
