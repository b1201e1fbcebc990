/**
 * A Pushpin configuration as a `foregate.yaml`. Each fixture is a `pushpin.conf`, a line of dashes, a routes file, another line of
 * dashes, and the file that is written.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { parse } from 'yaml';
import { confOptions } from '../../../adapters/pushpin/conf-options.ts';
import { readConfFile } from '../../../adapters/pushpin/conf-file.ts';
import { writeForegateFile } from '../../../adapters/pushpin/foregate-file.ts';
import { propertyNames, readRoutesFile } from '../../../adapters/pushpin/routes-file.ts';
import { importPushpin, type Imported } from '../../../adapters/pushpin/settings.ts';
import { loadText } from '../../../gateway/config/load.ts';
import { ConfigError } from '../../../gateway/core/problem.ts';
import { parts } from '../../../gateway/parts.ts';
import { serverCertificate, serverKey } from '../../downstream/certificates.ts';

const folder = join(import.meta.dirname, '../../fixtures/pushpin/files');
const names = { conf: 'pushpin.conf', routes: 'routes' };
const fixtures = readdirSync(folder);

function imported(conf: string, routes: string): Imported {
  return importPushpin({
    conf: readConfFile(conf, { file: names.conf, include: () => '' }),
    routes: readRoutesFile(routes, names.routes),
    names,
    folder: '/etc/pushpin',
  });
}

function fixture(name: string): { conf: string; routes: string; expected: string } {
  const [conf = '', routes = '', expected = ''] = readFileSync(join(folder, name), 'utf8').split(/^-{5,}\n/m);
  return { conf, routes, expected };
}

describe('a Pushpin configuration', () => {
  for (const name of fixtures) {
    it(`becomes a foregate.yaml: ${name.replace('.txt', '').replaceAll('-', ' ')}`, () => {
      const { conf, routes, expected } = fixture(name);
      assert.deepEqual(writeForegateFile(imported(conf, routes), names).split('\n'), expected.split('\n'));
    });
  }

  it('is the same as settings and as a file', () => {
    for (const name of fixtures) {
      const { conf, routes } = fixture(name);
      const made = imported(conf, routes);
      assert.deepEqual(parse(writeForegateFile(made, names)), made.settings);
    }
  });

  it('can be loaded', async () => {
    for (const name of fixtures) {
      const { conf, routes } = fixture(name);
      assert.deepEqual(await problems(writeForegateFile(imported(conf, routes), names)), [], name);
    }
  });

  it('can be loaded and is the same as a file, whatever stands in a routes file', async () => {
    const files = fc.constantFrom('client_cert=a.crt', 'client_key=a.key', 'sig_key=file:keys/grip.pem');
    const value = fc.oneof(
      fc.constantFrom('/a', 'yes', 'http', '"${x}"', 'A:b', '"x\\"y"', '"#"', '3', ''),
      fc.string({ unit: 'binary' }),
    );
    const known = [...propertyNames.condition, ...propertyNames.target].filter((name) => !name.startsWith('client_'));
    const property = fc.oneof(
      { weight: 9, arbitrary: fc.tuple(fc.constantFrom(...known), value).map(([key, text]) => `${key}=${text}`) },
      files,
    );
    const properties = fc.array(property, { maxLength: 4 }).map((all) => all.map((one) => `,${one}`).join(''));
    const host = fc.constantFrom('*', 'a.example', '', 'b_c', '[::1]', 'A');
    const target = fc.constantFrom('127.0.0.1:80', '[::1]:80', 'test', 'back:80', 'b_c:1', '1.2.3:4');
    const line = fc.tuple(host, properties, target, properties).map((all) => `${all[0]}${all[1]} ${all[2]}${all[3]}`);
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 4 }), async (lines) => {
        // Without a route there is nothing to load.
        const made = imported(
          '[proxy]\naccept_pushpin_route=true\nsig_key=file:keys/grip.pem',
          ['last.example 127.0.0.1:80', ...lines].join('\n'),
        );
        const text = writeForegateFile(made, names);
        assert.deepEqual(parse(text), made.settings);
        assert.deepEqual(await problems(text), []);
      }),
      { numRuns: 60 },
    );
  });

  it('is told that its control port is open to others', () => {
    const { settings, findings } = imported('[handler]\npush_in_http_addr=0.0.0.0', '* 127.0.0.1:80');
    assert.deepEqual(settings['control'], { host: '127.0.0.1', port: 5561 });
    assert.ok(
      findings.some(({ line, option, verdict }) => line === 2 && option === 'handler/push_in_http_addr' && verdict === 'refused'),
    );
  });

  it("shows metrics at the handler's port, or else at the proxy's", () => {
    const both = imported(
      '[proxy]\nprometheus_port=127.0.0.1:9101\nprometheus_prefix=p_\n[handler]\nprometheus_port=10.0.0.1:9102',
      '* 127.0.0.1:80',
    );
    assert.deepEqual(both.settings['metrics'], { port: 9102, host: '10.0.0.1' });
    const told = both.findings.filter(({ option }) => option.includes('prometheus')).map(({ line, verdict }) => [line, verdict]);
    assert.deepEqual(told, [
      [2, 'refused'],
      [3, 'honoured'],
      [5, 'honoured'],
    ]);
    const one = imported('[proxy]\nprometheus_port=127.0.0.1:9101\nprometheus_prefix=p_', '* 127.0.0.1:80');
    assert.deepEqual(one.settings['metrics'], { prefix: 'p_', port: 9101, host: '127.0.0.1' });
  });

  it('keeps the sockets of ZeroMQ that it names, with the offset, and makes the package optional', () => {
    const { settings, findings } = imported(
      '[global]\nport_offset=10\n[handler]\npush_in_spec=tcp://127.0.0.1:5560\npush_in_sub_specs=tcp://10.0.0.1:5562,ipc://{rundir}/x\npush_in_sub_connect=true\ncommand_spec=tcp://127.0.0.1:5563',
      '* 127.0.0.1:80',
    );
    assert.deepEqual((settings['control'] as Record<string, unknown>)['zeromq'], {
      pull: 'tcp://127.0.0.1:5570',
      subscribe: ['tcp://10.0.0.1:5572', 'ipc://run/x'],
      connect: true,
      commands: 'tcp://127.0.0.1:5573',
      optional: true,
    });
    assert.ok(!findings.some(({ verdict, line }) => verdict === 'refused' && line > 0));
  });

  it('has no sockets of ZeroMQ where the file names none, as Pushpin has none then', () => {
    const { settings } = imported('[handler]\npush_in_spec=\npush_in_sub_connect=true', '* 127.0.0.1:80');
    assert.deepEqual(settings['control'], { host: '127.0.0.1', port: 5561 });
  });

  it('leaves out sockets of ZeroMQ that others could reach, or that are none', () => {
    const { settings, findings } = imported(
      '[handler]\npush_in_spec=tcp://*:5560\npush_in_sub_specs=inproc://x,tcp://127.0.0.1:5562\ncommand_spec=tcp://0.0.0.0:5563',
      '* 127.0.0.1:80',
    );
    assert.deepEqual((settings['control'] as Record<string, unknown>)['zeromq'], {
      subscribe: ['tcp://127.0.0.1:5562'],
      optional: true,
    });
    const refused = findings.filter(({ verdict, line }) => verdict === 'refused' && line > 0);
    assert.deepEqual(
      refused.map(({ option }) => option),
      ['handler/push_in_spec', 'handler/push_in_sub_specs', 'handler/command_spec'],
    );
  });

  it('leaves out a prefix that Prometheus would not take', () => {
    const { settings, findings } = imported('[handler]\nprometheus_port=127.0.0.1:9101\nprometheus_prefix=my-', '* 127.0.0.1:80');
    assert.deepEqual(settings['metrics'], { port: 9101, host: '127.0.0.1' });
    assert.ok(findings.some(({ option, verdict }) => option === 'handler/prometheus_prefix' && verdict === 'refused'));
  });

  it('keeps ids of its own before those that are made up', () => {
    const { settings } = imported('', '* 127.0.0.1:80\na.example,id=main 127.0.0.1:80\nb.example,id=main-2 127.0.0.1:80');
    const routes = settings['routes'] as readonly { readonly id: string }[];
    assert.deepEqual(
      routes.map(({ id }) => id),
      ['main-3', 'main', 'main-2'],
    );
  });

  it('shows no key in its comments', () => {
    const { conf, routes } = fixture('everything-that-works.txt');
    const broken = routes.replaceAll('"with ${braces}"', 'with ${braces}');
    const text = writeForegateFile(imported(conf, `${broken}\nz.example,sig_key=with,braces,x! 127.0.0.1:80`), names);
    const comments = text.split('\n').filter((line) => line.trimStart().startsWith('#'));
    assert.ok(!comments.some((line) => line.includes('braces')));
  });
});

describe('docs/pushpin.md', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/pushpin.md'), 'utf8');

  it('tells of every option what becomes of it', () => {
    for (const { name, verdict } of confOptions) {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\``));
      assert.ok(row !== undefined, `${name} is missing`);
      assert.ok(row.includes(`| ${verdict} `), `${name} must be ${verdict}`);
    }
  });

  it('tells of every property of a routes file', () => {
    for (const name of [...propertyNames.condition, ...propertyNames.target])
      assert.ok(page.includes(`| \`${name}\``), `${name} is missing`);
  });
});

/** Keys and files that stand in the fixtures, in a folder that goes again. */
let keys = '';

before(() => {
  keys = mkdtempSync(join(tmpdir(), 'foregate-'));
  mkdirSync(join(keys, 'keys'));
  for (const file of ['a.crt', 'a.key', 'keys/grip.pem']) writeFileSync(join(keys, file), 'secret');
  mkdirSync(join(keys, 'runner/certs'), { recursive: true });
  writeFileSync(join(keys, 'runner/certs/default_443.crt'), serverCertificate);
  writeFileSync(join(keys, 'runner/certs/default_443.key'), serverKey);
});

after(() => rmSync(keys, { recursive: true }));

/** What `foregate check` would find wrong. */
async function problems(text: string): Promise<string[]> {
  try {
    await loadText('foregate.yaml', text.replaceAll('/etc/pushpin', keys), parts, {});
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, message }) => `${path} ${message}`);
  }
}
