/** The rules of ARCHITECTURE.md hold for every file, and each rule can tell a bad file from a good one. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import {
  consoleFaults,
  cycles,
  floorFaults,
  imports,
  nameFaults,
  openingFaults,
  packageFaults,
  readSources,
  secretFaults,
  staleAllowances,
  uncheckedCallFaults,
  type Source,
} from './support/source-rules.ts';

const root = join(import.meta.dirname, '..');

describe('the sources', () => {
  let product: Source[];
  let everything: Source[];

  before(async () => {
    product = await readSources(root, 'product');
    everything = await readSources(root, 'everything');
  });

  it('import only from a lower floor or from their own folder', () => {
    assert.deepEqual(floorFaults(product), []);
  });

  it('never import each other in a circle', () => {
    assert.deepEqual(cycles(everything), []);
  });

  it('use an npm package only in the folders it belongs to', () => {
    assert.deepEqual(packageFaults(product), []);
  });

  it('call the control API in tests only where each call is held against its document', () => {
    assert.deepEqual(uncheckedCallFaults(everything), []);
  });

  it('write to the console only where somebody reads it', () => {
    assert.deepEqual(consoleFaults(product), []);
  });

  it('say in their first lines what they are for', () => {
    assert.deepEqual(openingFaults(everything), []);
  });

  it('compare secrets in one place only, in constant time', () => {
    assert.deepEqual(secretFaults(product), []);
    assert.deepEqual(staleAllowances(product), []);
  });

  it('have names that say something, in kebab-case', () => {
    assert.deepEqual(nameFaults(everything), []);
  });
});

describe('the rules of the sources', () => {
  const source = (path: string, text: string): Source => ({ path, text });

  it('read every form of import', () => {
    const text = [
      `import a from 'one';`,
      `import type { B } from "./two.ts";`,
      `import {\n  c,\n  d,\n} from './three.ts';`,
      `export * from './four.ts';`,
      `export type { E } from './five.ts';`,
      `import 'six';`,
      `const lazy = await import('./seven.ts');`,
      `export const from = 'not-an-import';`,
    ].join('\n');
    const found = imports(source('gateway/x.ts', text));
    assert.deepEqual(
      found.map((entry) => entry.from),
      ['one', './two.ts', './three.ts', './four.ts', './five.ts', 'six', './seven.ts'],
    );
    assert.deepEqual(
      found.filter((entry) => entry.typeOnly).map((entry) => entry.from),
      ['./two.ts', './five.ts'],
    );
  });

  it('find an import of a higher floor, also of a type', () => {
    const faults = floorFaults([source('gateway/wire/a.ts', `import type { Pump } from '../session/pump.ts';`)]);
    assert.deepEqual(faults, ['gateway/wire/a.ts (floor 1) imports gateway/session/pump.ts (floor 3)']);
  });

  it('find an import of a neighbour on the same floor', () => {
    assert.equal(floorFaults([source('policies/a.ts', `import { b } from '../gateway/channel/hub.ts';`)]).length, 1);
  });

  it('find an adapter that knows another adapter', () => {
    assert.equal(floorFaults([source('adapters/kong/a.ts', `import { b } from '../tyk/profile.ts';`)]).length, 1);
    assert.deepEqual(floorFaults([source('adapters/kong/a.ts', `import { b } from '../problem.ts';`)]), []);
    assert.deepEqual(floorFaults([source('adapters/index.ts', `import { b } from './tyk/index.ts';`)]), []);
  });

  it('find a folder without a floor, and an import from outside the product', () => {
    assert.equal(floorFaults([source('gateway/plugins/a.ts', '')]).length, 1);
    assert.equal(floorFaults([source('gateway/foregate.ts', `import { b } from '../test/support/b.ts';`)]).length, 1);
  });

  it('allow a lower floor and the own folder', () => {
    const text = `import { a } from '../core/a.ts';\nimport { b } from './b.ts';`;
    assert.deepEqual(floorFaults([source('gateway/session/c.ts', text)]), []);
  });

  it('find a circle, also one of types alone', () => {
    const circle = [
      source('gateway/core/a.ts', `import type { B } from './b.ts';`),
      source('gateway/core/b.ts', `export { c } from './c.ts';`),
      source('gateway/core/c.ts', `import './a.ts';`),
    ];
    assert.deepEqual(cycles(circle), ['gateway/core/a.ts -> gateway/core/b.ts -> gateway/core/c.ts -> gateway/core/a.ts']);
    assert.deepEqual(cycles(circle.slice(0, 2)), []);
  });

  it('find a package in a folder where it does not belong', () => {
    const express = `import express from 'express';`;
    assert.deepEqual(packageFaults([source('gateway/session/a.ts', express)]), [
      'gateway/session/a.ts uses express, which does not belong in gateway/session',
    ]);
    assert.deepEqual(packageFaults([source('gateway/control/app.ts', express)]), []);
    assert.equal(packageFaults([source('policies/a.ts', `import Ajv from 'ajv/dist/2020.js';`)]).length, 1);
    assert.equal(packageFaults([source('gateway/front/a.ts', `const x = await import('@scope/thing/part.js');`)]).length, 1);
  });

  it('find a test that calls past the check of calls', () => {
    const calls = `import supertest from 'supertest';`;
    assert.equal(uncheckedCallFaults([source('test/control/app.test.ts', calls)]).length, 1);
    assert.deepEqual(uncheckedCallFaults([source('test/control/documented-calls.ts', calls)]), []);
    assert.deepEqual(uncheckedCallFaults([source('test/control/app.test.ts', `import type { Response } from 'supertest';`)]), []);
  });

  it('find a built-in module with effects in the core', () => {
    assert.equal(packageFaults([source('gateway/core/a.ts', `import { readFileSync } from 'node:fs';`)]).length, 1);
    assert.deepEqual(packageFaults([source('gateway/core/a.ts', `import type { IncomingMessage } from 'node:http';`)]), []);
    assert.deepEqual(packageFaults([source('gateway/wire/a.ts', `import { Buffer } from 'node:buffer';`)]), []);
  });

  it('find the console in code, not in a comment, and not where it is meant to be', () => {
    assert.equal(consoleFaults([source('gateway/wire/a.ts', `if (x) console.log(x);`)]).length, 1);
    assert.deepEqual(consoleFaults([source('gateway/wire/a.ts', `// console.log(x)\n/** see console.log */`)]), []);
    assert.deepEqual(consoleFaults([source('examples/a.ts', `console.log(x);`)]), []);
  });

  it('find a file that begins without a word', () => {
    assert.equal(openingFaults([source('gateway/a.ts', `import x from 'x';`)]).length, 1);
    assert.equal(openingFaults([source('gateway/a.ts', `/** */\nimport x from 'x';`)]).length, 1);
    assert.deepEqual(openingFaults([source('bin/a.ts', `#!/usr/bin/env node\n/** Starts. */`)]), []);
  });

  it('find comparisons of secrets, by any operator or method', () => {
    const bad = [
      `if (token === presented) return true;`,
      `return user.password !== given;`,
      `if (given == this.#apiKey) return;`,
      `const same = signature.equals(other);`,
      `return keys.includes(presented);`,
      `if (a.digest.toString('hex') === b) return;`,
      `if (presented.startsWith(secret)) return;`,
      `return known.some(({ secret }) => secret === presented);`,
      `if (headers['x-token'] === options.token) return;`,
      `return timingSafeEqual(a, b);`,
    ];
    for (const line of bad) assert.equal(secretFaults([source('policies/a.ts', `  ${line}\n`)]).length, 1, line);
  });

  it('find no comparison of a secret where it is a name, a length, or what is written in the code', () => {
    const good = [
      `if (key === 'adapter') return entry;`,
      `if (secret === undefined) return;`,
      `if (typeof token !== 'string') return;`,
      `if (keys.length !== other.length) return;`,
      `// if (token === presented)`,
      `if (key.startsWith('base64:')) return;`,
      `if (tokenType === other) return;`,
      `return secret.length < needed;`,
    ];
    for (const line of good) assert.deepEqual(secretFaults([source('policies/a.ts', `${line}\n`)]), [], line);
    assert.deepEqual(secretFaults([source('gateway/core/secret.ts', 'timingSafeEqual(a, b)')]), []);
  });

  it('find a name that says nothing, and one that is not in kebab-case', () => {
    for (const path of ['gateway/core/utils.ts', 'gateway/helpers/a.ts', 'gateway/core/fooBar.ts', 'test/common.test.ts']) {
      assert.equal(nameFaults([source(path, '')]).length, 1, path);
    }
    assert.deepEqual(nameFaults([source('gateway/core/client-socket.ts', ''), source('test/contracts/bus.contract.ts', '')]), []);
  });
});
