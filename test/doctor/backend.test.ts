/** What the doctor finds out while it stands in for the backend: behind odd proxies, and behind a real nginx. */
import { deepEqual, doesNotMatch, equal, match } from 'node:assert/strict';
import { openStandIn, type StandIn } from '../../gateway/doctor/stand-in.ts';
import type { Report } from '../../gateway/doctor/finding.ts';
import { expressGateway } from '../chain/express-gateway.ts';
import { installGateways, installTimeoutMs } from '../chain/gateways.ts';
import { nginx } from '../chain/nginx.ts';
import { about, detailOf, examined } from './examined.ts';
import { startOddProxy, type Oddities } from './odd-proxy.ts';

const secret = 'key-sesame-4711';

describe('the doctor in place of the backend', () => {
  let standIn: StandIn;

  beforeEach(async () => {
    standIn = await openStandIn({ port: 0, host: '127.0.0.1' });
  });
  afterEach(() => standIn.close());

  async function behind(oddities: Oddities, more = '', timeoutWaitMs = 0): Promise<Report[]> {
    const proxy = await startOddProxy(standIn.port, oddities);
    try {
      const text = `routes:\n  - id: chat\n    target: { url: "${proxy.origin}", timeout: 3s }\n${more}`;
      return await examined(text, { standIn, timeoutWaitMs, timeoutMs: 9000, credential: { value: secret } });
    } finally {
      await proxy.stop();
    }
  }

  it('finds nothing wrong with a proxy that changes nothing', async () => {
    const reports = await behind({});
    for (const matter of ['fields', 'host', 'address', 'bytes', 'framing', 'reply', 'resends', 'buffering'])
      deepEqual(about(reports, matter), ['ok'], matter);
    deepEqual(about(reports, 'timeout'), ['note']);
    match(detailOf(reports, 'credentials'), /The backend gets the credential, too \(authorization\)/);
  });

  it('names fields that are stripped, changed and added, and never a value', async () => {
    const fields: Oddities['fields'] = (headers) => {
      delete headers['grip-sig'];
      delete headers['authorization'];
      headers['content-type'] = 'application/websocket-events; charset=utf-8';
      headers['user-agent'] = 'proxy';
      headers['x-consumer'] = 'whoever';
    };
    const reports = await behind({ fields }, 'grip: { key: 0123456789abcdef0123456789abcdef }\n');
    deepEqual(about(reports, 'fields'), ['clash', 'note', 'note']);
    equal(
      detailOf(reports, 'fields'),
      'The backend does not get our grip-sig, content-type as sent.\nChanged on the way: user-agent.\nAdded on the way: x-consumer.',
    );
    match(detailOf(await behind({ fields }), 'fields'), /Removed on the way: grip-sig\./);
    match(detailOf(reports, 'credentials'), /The gateway keeps the credential to itself/);
    doesNotMatch(JSON.stringify(reports), new RegExp(`${secret}|whoever`));
  });

  it('tells another Host, and an address that is not believed', async () => {
    const rewritten = await behind(
      {
        fields: (headers) => {
          headers['host'] = 'backend.internal';
          headers['x-forwarded-for'] = '127.0.0.1';
        },
      },
      '    adapter: nginx\n',
    );
    deepEqual(about(rewritten, 'host'), ['note', 'proxy_set_header Host $host']);
    deepEqual(about(rewritten, 'address'), ['warning', 'set_real_ip_from']);
    const ignored = await behind({ fields: (headers) => (headers['x-real-ip'] = '127.0.0.1') });
    deepEqual(about(ignored, 'address'), ['warning']);
  });

  it('tells bytes and answers that are damaged', async () => {
    const latin = await behind({ body: (body) => Buffer.from(body.toString('utf8')) });
    deepEqual(about(latin, 'bytes'), ['clash']);
    const stripped = await behind({ replyFields: (headers) => delete headers['sec-websocket-extensions'] });
    deepEqual(about(stripped, 'reply'), ['clash']);
    match(detailOf(stripped, 'reply'), /sec-websocket-extensions/);
    const typed = await behind({ replyFields: (headers) => (headers['content-type'] = 'text/plain') });
    deepEqual(about(typed, 'reply'), ['clash']);
  });

  it('counts how often a request arrives whose answer breaks off', async () => {
    const reports = await behind({ attempts: 3 }, '    adapter: kong\n');
    deepEqual(about(reports, 'resends'), ['clash', 'retries: 0 of the service', 'note', 'retries: 0 of the service']);
    match(detailOf(reports, 'resends'), /arrives 3 times/);
  });

  it('tells that a stream is held back until it ends', async () => {
    deepEqual(about(await behind({ buffers: true }, '    adapter: tyk\n'), 'buffering'), [
      'warning',
      'http_server_options.flush_interval',
    ]);
  });

  it('tells a timeout below ours, and one that is not', async () => {
    const [level, word, line] = about(await behind({ timeoutMs: 1200 }, '    adapter: nginx\n', 3000), 'timeout').map(String);
    deepEqual([level, word], ['clash', 'proxy_read_timeout']);
    match(line ?? '', /^foregate\.yaml:3:\d+ {2}routes\[0\]\.target\.timeout is 3s; write "timeout: [12]s"$/);
    deepEqual(about(await behind({}, '', 500), 'timeout'), ['ok']);
  });

  it('says so when nothing arrives, or when nobody stands there', async () => {
    const other = await openStandIn({ port: 0, host: '127.0.0.1' });
    const proxy = await startOddProxy(other.port);
    const text = `routes:\n  - id: chat\n    target: ${proxy.origin}\n`;
    deepEqual(about(await examined(text, { standIn }), 'backend'), ['warning']);
    match(detailOf(await examined(text), 'backend'), /not seen.*--listen/);
    await proxy.stop();
    await other.close();
  });

  for (const kind of [nginx, expressGateway]) {
    it(`finds out what ${kind.name} does`, async function () {
      this.timeout(installTimeoutMs);
      await installGateways();
      const gateway = await kind.start(`http://127.0.0.1:${standIn.port}`);
      try {
        const credential = { value: await gateway.freeKey(), header: kind.keyHeader };
        const text = `routes:\n  - id: chat\n    target: { url: "${gateway.origin}", idle: 8s }\n    adapter: ${kind.adapter}\n`;
        const reports = await examined(text, { standIn, timeoutWaitMs: 500, idleWaitMs: 9000, timeoutMs: 60_000, credential });
        match(detailOf(reports, 'idle'), /^It closes unused connections after [5-7]\.\d s, and ours are kept for 8s/);
        deepEqual(about(reports, 'credentials')[0], 'ok');
        for (const matter of ['address', 'bytes', 'framing', 'reply', 'resends', 'buffering', 'timeout'])
          deepEqual(about(reports, matter), ['ok'], matter);
        deepEqual(about(reports, 'body')[0], kind.limitsBodies ? 'clash' : 'ok');
        doesNotMatch(JSON.stringify(reports), new RegExp(credential.value));
      } finally {
        await gateway.stop();
      }
    });
  }

  it('knows nginx by its name, and leaves when its limit is used up', async () => {
    const gateway = await nginx.start(`http://127.0.0.1:${standIn.port}`);
    try {
      const text = `routes:\n  - id: chat\n    target: ${gateway.origin}\n    adapter: nginx\n`;
      const reports = await examined(text, { standIn, credential: { value: await gateway.newKey(), header: nginx.keyHeader } });
      match(detailOf(reports, 'gateway'), /^nginx \d+\.\d+\.\d+, by its field Server\.$/);
      match(detailOf(reports, 'body'), /^Not looked at: a limit of the gateway is used up\.$/);
    } finally {
      await gateway.stop();
    }
  });
});
