/** Checks the parameters of clients' requests by JSON Schemas, as an OpenAPI document describes them, before anything goes on. */
import { Type, type Static } from 'typebox';
import { ForegateError } from '../gateway/core/errors.ts';
import { fields } from '../gateway/core/headers.ts';
import { pathTemplate, type PathTemplate } from '../gateway/core/path-template.ts';
import { definePolicy, deny, type Policy } from '../gateway/core/policy.ts';
import type { ClientRequest } from '../gateway/core/session.ts';
import { parameterCheck, type ParameterCheck } from './parameter-check.ts';
import { percentDecoded, styles, type ParameterPlace, type RawPairs } from './parameter-style.ts';

export const ParameterOptions = Type.Object(
  {
    name: Type.String({ minLength: 1, description: 'Its name; in `header` upper and lower case are the same.' }),
    in: Type.Enum(['path', 'query', 'header', 'cookie'], {
      description: 'Where it stands. `path`: `template` has its name in braces.',
    }),
    required: Type.Boolean({ default: false, description: 'Whether it must be there. One in the path always must.' }),
    schema: Type.Record(Type.String(), Type.Unknown(), {
      default: {},
      description:
        'A JSON Schema (2020-12) for its value, as in `message-schema`. It also says how texts are read: as numbers, `true` and `false`, as arrays or objects, where it has such a type. Arrays and objects in arrays and objects are for `json`.',
    }),
    style: Type.Optional(
      Type.Enum([...styles], {
        description:
          'How it is written, in the words of OpenAPI: `form` (the default), `spaceDelimited`, `pipeDelimited` or `deepObject` in queries, `simple` (the default), `label` or `matrix` in paths; `simple` in header fields and `form` in cookies.',
      }),
    ),
    explode: Type.Optional(
      Type.Boolean({
        description:
          'Whether each item or member stands for itself: `a=1&a=2` in place of `a=1,2`. Default: true for `form`. Arrays and objects in cookies need `false`.',
      }),
    ),
    json: Type.Boolean({
      default: false,
      description: 'Whether the value is a JSON text, as with `content: { application/json: ... }` in OpenAPI.',
    }),
    allowEmptyValue: Type.Boolean({
      default: false,
      description: 'Whether a parameter of the query may be there without a value, whatever its schema says.',
    }),
  },
  { additionalProperties: false },
);

const ParametersOptions = Type.Object(
  {
    parameters: Type.Array(ParameterOptions, {
      minItems: 1,
      maxItems: 256,
      description:
        'The parameters: `name`, `in` (`path`, `query`, `header` or `cookie`), `schema`, and where needed `required`, `style`, `explode`, `json`, `allowEmptyValue`, as in an OpenAPI document. Others are not looked at. As OpenAPI has it, `Accept`, `Content-Type` and `Authorization` are none.',
    }),
    template: Type.Optional(
      Type.String({
        pattern: '^/',
        description:
          'The path with the names of its parameters in braces, `/rooms/{room}`, as the client asks for it. A path that does not fit is refused. Needed for parameters in the path.',
      }),
    ),
  },
  {
    additionalProperties: false,
    description:
      'They are looked at before anything goes on, at handshakes and at requests; the first fault is refused with status 400 and a sentence that names the parameter and what is expected of it, never what was sent. A parameter for one value that is there twice is a fault, as is one that is not encoded or written as its style says. What goes on to the backend stays as it was.',
  },
);
type ParametersOptions = Static<typeof ParametersOptions>;

export const parameters = definePolicy({
  name: 'parameters',
  summary: 'Checks parameters in the path, the query, header fields and cookies by JSON Schemas.',
  options: ParametersOptions,
  create({ parameters: described, template }): Policy {
    const path = template === undefined ? undefined : pathTemplate(template);
    const fault = placeFault(described, path);
    if (fault !== undefined) throw new ForegateError('bad-request', fault);
    const checks = described.filter((one) => !isIgnored(one)).map(parameterCheck);
    return { connect: ({ request }) => firstFault(checks, request, path) };
  },
});

/** OpenAPI 3.1, section 4.8.12.1: such definitions are ignored. */
function isIgnored({ in: place, name }: ParametersOptions['parameters'][number]): boolean {
  return place === 'header' && ['accept', 'content-type', 'authorization'].includes(name.toLowerCase());
}

function placeFault(described: ParametersOptions['parameters'], path: PathTemplate | undefined): string | undefined {
  const places = described.map(({ in: place, name }) => `${place} ${place === 'header' ? name.toLowerCase() : name}`);
  const twice = described[places.findIndex((place, index) => places.indexOf(place) < index)];
  if (twice !== undefined) return `The ${twice.in} parameter ${JSON.stringify(twice.name)} is listed twice.`;
  const lost = described.find(({ in: place, name }) => place === 'path' && path?.names.includes(name) !== true);
  if (lost === undefined) return undefined;
  return `The path parameter ${JSON.stringify(lost.name)} needs {${lost.name}} in "template".`;
}

function firstFault(checks: readonly ParameterCheck[], request: ClientRequest, template: PathTemplate | undefined) {
  const [path = '', ...query] = request.path.split('?');
  const inPath = template?.match(path);
  if (template !== undefined && inPath === undefined) return deny('bad-request', 'The path is not one that is described here.');
  const pairs: Record<ParameterPlace, () => RawPairs> = {
    path: once(() => [...(inPath ?? [])]),
    query: once(() => queryPairs(query.join('?'))),
    header: once(() => headerPairs(request)),
    cookie: once(() => cookiePairs(request)),
  };
  for (const { in: place, faultOf } of checks) {
    const fault = faultOf(pairs[place]());
    if (fault !== undefined) return deny('bad-request', fault);
  }
  return undefined;
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/** A name that cannot be decoded is nobody's. */
function queryPairs(query: string): RawPairs {
  const pairs = query.split('&').filter((pair) => pair !== '');
  return pairs.map((pair) => {
    const [name, raw] = halves(pair);
    return [percentDecoded(name.replaceAll('+', ' ')) ?? name, raw];
  });
}

/** Fields of one name are one list (RFC 9110 section 5.3). */
function headerPairs({ headers }: ClientRequest): RawPairs {
  const found = new Map<string, string>();
  for (const [name, value] of fields(headers)) {
    const lower = name.toLowerCase();
    const before = found.get(lower);
    found.set(lower, before === undefined ? value : `${before},${value}`);
  }
  return [...found];
}

function cookiePairs({ headers }: ClientRequest): RawPairs {
  const values = [...fields(headers)].filter(([name]) => name.toLowerCase() === 'cookie').map(([, value]) => value);
  return values
    .flatMap((value) => value.split(';'))
    .map((pair) => {
      const [name, raw] = halves(pair);
      return [name.trim(), raw.trim().replace(/^"(.*)"$/, '$1')];
    });
}

function halves(pair: string): readonly [name: string, value: string] {
  const at = pair.indexOf('=');
  return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}
