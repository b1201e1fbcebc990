/** GRIP 7.2: what stands in `pushpin.conf`. Fixtures are a file, a line of dashes, and its options with their lines. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { confOptions } from '../../../adapters/pushpin/conf-options.ts';
import { readConfFile, type ConfFile, type LocalPort, type PushpinConf } from '../../../adapters/pushpin/conf-file.ts';
import { readIni } from '../../../adapters/pushpin/ini.ts';

const folder = join(import.meta.dirname, '../../fixtures/pushpin/conf');
const nothing = (): undefined => undefined;

function read(text: string, include: (path: string) => string | undefined = nothing): ConfFile {
  return readConfFile(text, { file: 'pushpin.conf', include });
}

function local(path: string, mode?: string): LocalPort {
  return { path, mode };
}

describe('an INI file', () => {
  for (const name of readdirSync(folder)) {
    it(`is read: ${name.replace('.txt', '').replaceAll('-', ' ')}`, () => {
      const [text = '', expected = ''] = readFileSync(join(folder, name), 'utf8').split(/^-{5,}\n/m);
      assert.deepEqual(entriesOf(text), expected.trimEnd().split('\n'));
    });
  }

  it('never makes the reader throw, whatever is in it', () => {
    const word = fc.oneof(
      fc.constantFrom('[', ']', '=', '"', '\\', ';', '#', ',', '\n', '\r\n', ' ', '\\x', 'a', '{rundir}'),
      fc.string(),
    );
    const text = fc.array(word, { maxLength: 40 }).map((words) => words.join(''));
    fc.assert(fc.property(text, (file) => void read(file)));
  });
});

function entriesOf(text: string): string[] {
  const { entries, strange } = readIni(text);
  const lines = [
    ...entries.map(({ line, name, values }) => ({ line, text: `${name} ${JSON.stringify(values)}` })),
    ...strange.map((line) => ({ line, text: 'strange' })),
  ];
  return lines.toSorted((a, b) => a.line - b.line).map((one) => `${one.line} ${one.text}`);
}

describe('pushpin.conf', () => {
  it('means the defaults of Pushpin where it says nothing', () => {
    const { conf, findings } = read('');
    assert.deepEqual({ conf, findings }, { conf: defaults, findings: [] });
  });

  /** An option as it is written, and what it gives. */
  const options: readonly (readonly [section: string, line: string, conf: Partial<PushpinConf>])[] = [
    ['runner', 'http_port=80', { httpPort: { host: undefined, port: 80 } }],
    ['runner', 'http_port=127.0.0.1:80', { httpPort: { host: '127.0.0.1', port: 80 } }],
    ['runner', 'http_port=[::1]:80', { httpPort: { host: '::1', port: 80 } }],
    ['runner', 'http_port=', { httpPort: undefined }],
    [
      'runner',
      'https_ports=443, [::1]:8443',
      {
        httpsPorts: [
          { host: undefined, port: 443 },
          { host: '::1', port: 8443 },
        ],
      },
    ],
    ['runner', 'https_ports=', { httpsPorts: [] }],
    ['runner', 'local_ports={rundir}/a%20b,/c?mode=0666', { localPorts: [local('run/a b'), local('/c', '0666')] }],
    ['runner', 'log_level=3', { logLevel: 3 }],
    ['runner', 'client_buffer_size=16000', { clientBufferBytes: 16_000 }],
    ['runner', 'client_maxconn=10', { clientMaxconn: 10 }],
    ['proxy', 'routesfile=/etc/other', { routesFile: '/etc/other' }],
    ['proxy', 'auto_cross_origin=true', { autoCrossOrigin: true }],
    ['proxy', 'debug=1', { debug: true }],
    ['proxy', 'debug=FALSE', { debug: false }],
    ['proxy', 'accept_x_forwarded_protocol=true', { acceptXForwardedProtocol: true }],
    ['proxy', 'set_x_forwarded_protocol=proto-only', { setXForwardedProtocol: 'x-forwarded-proto' }],
    ['proxy', 'set_x_forwarded_protocol=true', { setXForwardedProtocol: 'both' }],
    ['proxy', 'set_x_forwarded_protocol=false', { setXForwardedProtocol: 'none' }],
    ['proxy', 'x_forwarded_for=', { xForwardedFor: { keep: undefined, append: false } }],
    ['proxy', 'x_forwarded_for=truncate:0, append', { xForwardedFor: { keep: 0, append: true } }],
    ['proxy', 'x_forwarded_for=append,truncate:2', { xForwardedFor: { keep: 2, append: true } }],
    ['proxy', 'x_forwarded_for_trusted=append', { xForwardedForTrusted: { keep: undefined, append: true } }],
    ['proxy', 'accept_pushpin_route=true', { acceptPushpinRoute: true }],
    ['proxy', 'cdn_loop=edge', { cdnLoop: 'edge' }],
    ['proxy', 'upstream_key=file:a', { upstreamKey: 'file:a' }],
    ['proxy', 'sig_iss=me', { sigIss: 'me' }],
    ['proxy', 'sig_key="a;b,c"', { sigKey: 'a;b,c' }],
    ['proxy', 'sig_key=', { sigKey: '' }],
    ['proxy', 'sockjs_url=https://h/s.js', { sockJsUrl: 'https://h/s.js' }],
    ['handler', 'push_in_http_addr=10.0.0.1', { pushInHttpAddr: '10.0.0.1' }],
    ['handler', 'push_in_http_port=6000', { pushInHttpPort: 6000 }],
    ['global', 'port_offset=100', { pushInHttpPort: 5661 }],
    ['handler', 'push_in_http_max_body_size=5', { pushInHttpBodyBytes: 5 }],
    ['handler', 'message_wait=100', { messageWaitMs: 100 }],
    ['handler', 'id_cache_ttl=60', { idCacheSeconds: 60 }],
    ['handler', 'connection_subscription_max=5', { connectionSubscriptionMax: 5 }],
  ];

  for (const [section, line, changed] of options) {
    it(`honours ${section}/${line}`, () => {
      const { conf, findings } = read(`[${section}]\n${line}`);
      assert.deepEqual(conf, { ...defaults, ...changed });
      assert.deepEqual(
        findings.map((finding) => [finding.line, finding.option, finding.verdict]),
        [[2, `${section}/${line.split('=')[0] ?? ''}`, 'honoured']],
      );
    });
  }

  it('is told where the value of a refused option is what Foregate does anyway', () => {
    const [finding] = read('[handler]\nshare_all=False').findings;
    assert.deepEqual([finding?.verdict, finding?.text], ['ignored', 'With this value nothing is missing.']);
  });

  it('is told of rules for X-Forwarded-For that are none', () => {
    const { conf, findings } = read('[proxy]\nx_forwarded_for=truncate:-1,bogus,append');
    assert.deepEqual(conf.xForwardedFor, { keep: undefined, append: true });
    assert.deepEqual(
      findings.map(({ line, verdict, text }) => [line, verdict, text.split(': ')[1]]),
      [
        [2, 'refused', '"truncate:-1".'],
        [2, 'refused', '"bogus".'],
      ],
    );
    // In quotes it is one text for Pushpin, and no rule.
    assert.deepEqual(read('[proxy]\nx_forwarded_for="truncate:0,append"').conf.xForwardedFor, { keep: undefined, append: false });
  });

  it('has an answer for every option, and no option twice', () => {
    const names = confOptions.map(({ name }) => name);
    assert.deepEqual(names, [...new Set(names)]);
    for (const { name, verdict, text } of confOptions) {
      const [section = '', option = ''] = name.split('/');
      const value = option.startsWith('x_forwarded_for') ? 'append' : '1';
      const [finding] = read(`[${section}]\n${option}=${value}`, () => '').findings;
      assert.deepEqual(finding, { file: 'pushpin.conf', line: 2, option: name, verdict, text });
    }
  });

  it('is told that an option means nothing where a refused one is switched off', () => {
    const { findings } = read('[handler]\npush_in_spec=\nshare_all=false\nshare_all=true');
    assert.deepEqual(
      findings.map(({ line, verdict, text }) => [line, verdict, text.split(' ')[0]]),
      [
        [2, 'ignored', 'Not'],
        [3, 'ignored', 'Stands'],
        [4, 'refused', 'Equal'],
      ],
    );
  });

  it('is told of options that nobody knows, of those between its processes, and of lines that are none', () => {
    const { findings } = read('[proxy]\ncolour=red\nhandler_inspect_spec=ipc://x\nhello\n[Runner]\nhttp_port=1');
    assert.deepEqual(
      findings.map(({ line, option, verdict }) => [line, option, verdict]),
      [
        [2, 'proxy/colour', 'ignored'],
        [3, 'proxy/handler_inspect_spec', 'ignored'],
        [4, '', 'ignored'],
        [6, 'Runner/http_port', 'ignored'],
      ],
    );
  });

  for (const line of [
    'client_maxconn=many',
    'client_maxconn=-1',
    'client_maxconn=1.5',
    'client_maxconn=99999999999',
    'http_port=x',
    'http_port=65536',
    'https_ports=1,x',
    'local_ports=/a?mode=rw',
  ]) {
    it(`is told that ${line} is no number that can be taken`, () => {
      const { conf, findings } = read(`[runner]\n${line}`);
      assert.equal(conf.clientMaxconn, 50_000);
      assert.ok(findings.some(({ line: at, verdict, text }) => at === 2 && verdict === 'refused' && text.startsWith('Not a')));
    });
  }

  it('is told that sockets stay with the user of the program', () => {
    const { conf, findings } = read('[runner]\nlocal_ports=/a?user=x&mode=660');
    assert.deepEqual(conf.localPorts, [local('/a', '660')]);
    assert.deepEqual([findings[0]?.line, findings[0]?.verdict, findings.length], [2, 'refused', 1]);
  });

  it('of an option that stands twice the last one holds', () => {
    const { conf, findings } = read('[proxy]\nsig_iss=one\n[runner]\n[proxy]\nsig_iss=two');
    assert.equal(conf.sigIss, 'two');
    assert.equal(findings[0]?.text, 'Stands again in line 5, which holds.');
  });

  it('takes from an included file what it does not say itself', () => {
    const asked: string[] = [];
    const { conf, findings } = read('[global]\nlibdir=/lib\ninclude={libdir}/base.conf\n[proxy]\ndebug=true', (path) => {
      asked.push(path);
      return '[proxy]\ndebug=false\nsig_iss=base\nzurl_out_specs=ipc://x\n[handler]\nstate_spec=tcp://x';
    });
    assert.deepEqual(asked, ['/lib/base.conf']);
    assert.deepEqual([conf.debug, conf.sigIss], [true, 'base']);
    assert.deepEqual(
      findings.filter(({ file }) => file === '/lib/base.conf').map(({ line, option, verdict }) => [line, option, verdict]),
      [
        [3, 'proxy/sig_iss', 'honoured'],
        [6, 'handler/state_spec', 'refused'],
      ],
    );
  });

  it('finds the base file of Pushpin without its folder, and goes on if it is not there', () => {
    const asked: string[] = [];
    const { findings } = read('[global]\ninclude=internal.conf', (path) => void asked.push(path));
    assert.deepEqual(asked, ['/usr/lib/pushpin/internal.conf']);
    assert.ok(findings.some(({ line, verdict }) => line === 2 && verdict === 'ignored'));
  });

  it('never shows a key', () => {
    const { findings } = read('[proxy]\nsig_key=very-secret\nupstream_key=very-secret\nsig_key very-secret\nsig_key=very-secret');
    assert.ok(!JSON.stringify(findings).includes('very-secret'));
  });
});

const defaults: PushpinConf = {
  httpPort: { host: undefined, port: 7999 },
  httpsPorts: [],
  localPorts: [],
  logLevel: 2,
  clientBufferBytes: 8192,
  clientMaxconn: 50_000,
  routesFile: 'routes',
  debug: false,
  autoCrossOrigin: false,
  acceptXForwardedProtocol: false,
  setXForwardedProtocol: 'x-forwarded-proto',
  xForwardedFor: { keep: undefined, append: false },
  xForwardedForTrusted: { keep: undefined, append: false },
  acceptPushpinRoute: false,
  cdnLoop: '',
  upstreamKey: '',
  sigIss: 'pushpin',
  sigKey: 'changeme',
  sockJsUrl: '',
  pushInHttpAddr: '127.0.0.1',
  pushInHttpPort: 5561,
  pushInHttpBodyBytes: 1_000_000,
  messageWaitMs: 5000,
  idCacheSeconds: 0,
  connectionSubscriptionMax: 20,
  subscriptionLingerSeconds: 60,
  updateOnFirstSubscription: true,
  pushInSpec: [],
  pushInSubSpecs: [],
  pushInSubConnect: false,
  commandSpec: [],
  proxyMetrics: { address: undefined, prefix: '' },
  handlerMetrics: { address: undefined, prefix: '' },
};
