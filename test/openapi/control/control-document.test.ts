import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';
import { controlOperations } from '../../../gateway/control/app.ts';
import { controlDocument } from '../../../openapi/control/control-document.ts';
import { controlParts, FakeHost } from '../../control/fake-host.ts';
import { documentedOperations, responseOf, schemaAt } from './document-schemas.ts';

describe('control document', () => {
  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator();
    const result = await validator.validate(structuredClone(JSON.parse(JSON.stringify(controlDocument))));
    assert.equal(result.valid, true, JSON.stringify(result.errors));
    assert.equal(validator.version, '3.1');
  });

  it('is the same as its committed copy', () => {
    const copy = readFileSync(new URL('../../../docs/control.openapi.json', import.meta.url), 'utf8');
    assert.deepEqual(JSON.parse(copy), JSON.parse(JSON.stringify(controlDocument)));
    assert.match(copy, /^\{\n {2}"openapi".*\}\n$/s);
  });

  it('lists what is mounted, and nothing else', () => {
    const mounted = controlOperations(controlParts(new FakeHost())).map(
      ({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`,
    );
    // Answered in front of Express and behind it.
    const all = ['post /publish/', 'post /recover/', ...mounted, 'get /'];
    assert.deepEqual(
      documentedOperations()
        .map(({ method, path }) => `${method} ${path}`)
        .toSorted(),
      all.toSorted(),
    );
  });

  for (const documented of documentedOperations()) {
    const { method, path, operation } = documented;
    describe(`${method.toUpperCase()} ${path}`, () => {
      it('is described in every part', () => {
        assert.ok(operation.operationId && operation.summary && operation.description && operation.tags?.length);
        for (const parameter of operation.parameters ?? []) {
          assert.ok(!('$ref' in parameter) && parameter.description && parameter.schema && parameter.example !== undefined);
        }
      });

      it('has examples that fit its schemas', () => {
        const body = operation.requestBody;
        if (body && !('$ref' in body)) {
          for (const [type, { example }] of Object.entries(body.content))
            assertFits(example, 'paths', path, method, 'requestBody', 'content', type, 'schema');
        }
        for (const status of Object.keys(operation.responses ?? {})) {
          const placed = responseOf(documented, Number(status));
          assert.ok(placed?.response.description);
          for (const [type, { example }] of Object.entries(placed.response.content ?? {}))
            assertFits(example, ...placed.steps, 'content', type, 'schema');
        }
      });
    });
  }
});

function assertFits(example: unknown, ...steps: string[]): void {
  const validate = schemaAt(...steps);
  assert.notEqual(example, undefined, steps.join(' '));
  assert.ok(validate(example), `${steps.join(' ')}: ${JSON.stringify(validate.errors)}`);
}
