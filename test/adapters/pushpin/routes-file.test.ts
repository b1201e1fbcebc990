/** GRIP 7.1: what stands in a routes file. Each fixture is a file, a line of dashes, and the routes and findings it gives. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import type { Finding } from '../../../adapters/pushpin/finding.ts';
import { readRouteLine } from '../../../adapters/pushpin/route-line.ts';
import { propertyNames, readRoutesFile, type PushpinRoute, type PushpinTarget } from '../../../adapters/pushpin/routes-file.ts';

const folder = join(import.meta.dirname, '../../fixtures/pushpin/routes');

describe('a routes file of Pushpin', () => {
  for (const name of readdirSync(folder)) {
    it(`is read: ${name.replace('.txt', '').replaceAll('-', ' ')}`, () => {
      const [text = '', expected = ''] = readFileSync(join(folder, name), 'utf8').split(/^-{5,}\n/m);
      assert.deepEqual(written(text), expected.trimEnd().split('\n'));
    });
  }

  it('may have line ends of Windows and no line end at its end', () => {
    assert.deepEqual(written('a.example 127.0.0.1:80\r\n\r\nb.example 127.0.0.1:81,over_http'), [
      '1 a.example -> 127.0.0.1:80',
      '3 b.example -> 127.0.0.1:81 overHttp',
    ]);
  });

  it('may be empty', () => {
    assert.deepEqual(readRoutesFile('', 'routes'), { routes: [], findings: [] });
  });

  it('never makes the reader throw, whatever is in it', () => {
    const word = fc.oneof(
      fc.constantFrom(
        '*',
        'a.example',
        '127.0.0.1:80',
        '[::1]:80',
        'test',
        'zhttp/',
        ' ',
        ',',
        '=',
        '"',
        '\\',
        '#',
        '\n',
        '\r',
        '\t',
      ),
      fc.constantFrom(...propertyNames.condition, ...propertyNames.target, '__proto__'),
      fc.string({ unit: 'binary' }),
    );
    const text = fc.array(word, { maxLength: 60 }).map((words) => words.join(''));
    fc.assert(
      fc.property(text, (file) => {
        const { routes, findings } = readRoutesFile(file, 'routes');
        const lines = file.split('\n').length;
        for (const { line } of [...routes, ...findings]) assert.ok(line >= 1 && line <= lines);
        for (const { targets } of routes) assert.ok(targets.length > 0);
      }),
    );
  });

  it('gives every property back as it was quoted', () => {
    const name = fc.stringMatching(/^[a-z_]{1,12}$/);
    const value = fc.string({ unit: 'grapheme' });
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 5 }), (properties) => {
        const line = ['"a.example"', ...properties.map(([key, text]) => `${key}=${quoted(text)}`)].join(',');
        assert.deepEqual(readRouteLine(`${line} target # comment`), [
          { name: 'a.example', properties: properties.map(([key, text]) => ({ name: key, value: text })) },
          { name: 'target', properties: [] },
        ]);
      }),
    );
  });
});

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

/** Routes and findings as lines for people, in the order of the file. */
function written(text: string): string[] {
  const { routes, findings } = readRoutesFile(text, 'routes');
  const lines = [
    ...routes.map((route) => ({ line: route.line, text: routeText(route) })),
    ...findings.map((finding) => ({ line: finding.line, text: findingText(finding) })),
  ];
  return lines.toSorted((a, b) => a.line - b.line).map((one) => `${one.line} ${one.text}`.trimEnd());
}

function routeText({ line: _, host, targets, jsonp, ...properties }: PushpinRoute): string {
  const details = Object.fromEntries(Object.entries(jsonp).filter(([, value]) => value !== undefined));
  const all = { ...properties, jsonp: Object.keys(details).length > 0 ? details : undefined };
  return [host, ...propertiesText(all), ...targets.map(targetText)].join(' ');
}

function targetText({ place, ...properties }: PushpinTarget): string {
  const where = place.kind === 'server' ? `${place.host}:${place.port}` : place.kind === 'zhttp' ? `zhttp ${place.spec}` : 'test';
  return ['->', where, ...propertiesText(properties)].join(' ');
}

/** Those that say something: of switches only `ssl` may be off and say something. */
function propertiesText(properties: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(properties).flatMap(([name, value]) => {
    if (value === true) return [name];
    if (value === false) return name === 'ssl' && 'proto' in properties ? ['ssl=false'] : [];
    const empty =
      value === undefined ||
      value === 0 ||
      (value === '' && name !== 'replaceBeg') ||
      (Array.isArray(value) && value.length === 0);
    return empty ? [] : [`${name}=${JSON.stringify(value)}`];
  });
}

function findingText({ verdict, option, text }: Finding): string {
  if (verdict === 'ignored') return `ignored ${option}`;
  return `${verdict}: ${text.replace('The line is skipped: it ', '').replace(/\.$/, '')}`;
}
