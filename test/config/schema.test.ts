/** The schema for editors, and the pages made from the schemas. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';
import { parts } from '../../gateway/parts.ts';
import { configurationPage, errorsPage, exampleConfiguration, policiesPage } from '../../gateway/config/reference.ts';
import type { JsonSchema } from '../../gateway/config/json-schema.ts';
import { editorSchema } from '../../gateway/config/schema.ts';
import { errors } from '../../gateway/core/errors.ts';

const schema = editorSchema(parts);

function fits(file: unknown): boolean {
  const ajv = new Ajv2020({ strict: false });
  addFormats.default(ajv);
  return ajv.compile(schema)(file);
}

function route(more: object): object {
  return { routes: [{ id: 'a', target: 'http://h', ...more }] };
}

describe('the schema for editors', () => {
  it('takes the example of the documentation', () => {
    ok(fits(parse(exampleConfiguration)));
  });

  it('takes short and long forms', () => {
    ok(fits(route({ target: { url: 'http://h', timeout: '3s' }, adapter: 'generic' })));
    ok(fits({ routes: [{ id: 'a', targets: ['http://h', { url: 'ws://h' }], adapter: { use: 'generic' } }] }));
  });

  it('refuses unknown keys, values and adapters', () => {
    for (const wrong of [{ colour: 1 }, { idle: 'soon' }, { adapter: 'gate' }, { target: { url: 'http://h', x: 1 } }])
      equal(fits(route(wrong)), false, JSON.stringify(wrong));
  });

  it('knows the options of the policies, and leaves those of others alone', () => {
    ok(
      fits(
        route({
          policies: [
            { use: 'rate-limit', messages: 3 },
            { use: './mine.mjs', anything: 1 },
          ],
        }),
      ),
    );
    equal(fits(route({ policies: [{ use: 'rate-limit', mesages: 3 }] })), false);
    equal(fits(route({ policies: [{ use: 'origin' }] })), false);
  });

  it('describes every field', () => {
    const bare: string[] = [];
    const look = (one: JsonSchema, path: string): void => {
      for (const [key, property] of Object.entries(one.properties ?? {})) {
        if (!property.description) bare.push(`${path}.${key}`);
        look(property, `${path}.${key}`);
      }
      if (one.items) look(one.items, `${path}[]`);
      for (const branch of one.anyOf ?? []) look(branch, path);
    };
    look(schema, '');
    deepEqual(
      bare.filter((path) => !path.endsWith('.use')),
      [],
    );
  });
});

describe('the reference', () => {
  it('has a row for keys on every level, with type, default and meaning', () => {
    const page = configurationPage(parts);
    match(page, /^\| `routes` \| list of mapping \| needed without `openapi` and `asyncapi` \|/m);
    match(page, /^\| `idle` \| duration \| `30m` \|/m);
    match(page, /^\| `limits\.messageBytes` \| whole number \| `199999` \|/m);
    match(page, /^\| `auth\.basic\[\]\.password` \| secret \| required \|/m);
    match(page, /^\| `dialect` \| `websocket-over-http` or `relay` \| `relay` for/m);
  });

  it('has a section for every policy and a row for every error', () => {
    const policies = policiesPage(parts);
    for (const { name } of parts.policies) match(policies, new RegExp(`^## \`${name}\`$`, 'm'));
    const page = errorsPage();
    for (const [code, { status, close }] of Object.entries(errors))
      ok(page.includes(`| \`${code}\` | ${status} | ${close} |`), code);
  });
});
