/** Which client certificates get in, through real handshakes, and what of them counts as who the client is. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { ClientCertificate, SessionView } from '../../gateway/core/session.ts';
import { connect, createPolicy, ManualClock, testSession } from '../../gateway/testing/index.ts';
import { mtls } from '../../policies/mtls.ts';
import { serverCertificate, serverKey } from '../downstream/certificates.ts';
import { requestText } from '../protocol/holds.ts';
import { clearStage, onClear, setStage, type Stage } from '../protocol/stage.ts';
import { openClient, refusedClient } from '../support/client.ts';
import { loadSettings } from '../support/gateway.ts';

const file = (name: string): string => readFileSync(new URL(`../fixtures/client-certificates/${name}`, import.meta.url), 'utf8');
const key = file('client.key');
const shows = (name: string): object => ({ ca: serverCertificate, cert: file(`${name}.pem`), key });
const showsNone = { ca: serverCertificate };

describe('mtls, at a port that asks for certificates', () => {
  afterEach(clearStage);

  let seen: SessionView | undefined;

  async function setUp(clientCertificates: string | undefined, options: object = {}): Promise<Stage & { wss: string }> {
    seen = undefined;
    const tls = {
      cert: serverCertificate,
      key: serverKey,
      ca: file('authority.pem'),
      ...(clientCertificates && { clientCertificates }),
    };
    const stage = await setStage({
      settings: { listen: [{ host: '127.0.0.1', port: 0, tls }] },
      route: { policies: [{ use: 'mtls', ...options }] },
      policy: {
        connect(session) {
          seen = session;
          return undefined;
        },
      },
    });
    return { ...stage, wss: stage.url.replace('https://127.0.0.1', 'wss://localhost') };
  }

  const open = async (url: string, options: object): Promise<void> => {
    const client = await openClient(url, options);
    onClear(() => client.socket.terminate());
  };

  it('knows the client by the common name, and tells policies what the certificate says', async () => {
    const { wss } = await setUp('require');
    await open(wss, shows('ann'));
    const certificate = seen?.request.certificate;
    assert.deepEqual(seen?.identity, { subject: 'ann', by: 'mtls', expiresAt: certificate?.expiresAt });
    assert.deepEqual(certificate?.subject, { O: ['Shop'], OU: ['Tills'], CN: ['ann'] });
    assert.deepEqual(certificate.altNames, [
      { kind: 'dns', value: 'till-1.shop.example' },
      { kind: 'uri', value: 'spiffe://shop.example/till/1' },
      { kind: 'email', value: 'ann@shop.example' },
      { kind: 'ip', value: '192.0.2.7' },
    ]);
    assert.match(certificate.fingerprint256, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
    assert.match(certificate.serial, /^[0-9A-F]+$/);
    assert.equal(new Date(certificate.expiresAt).getUTCFullYear(), 2126);
  });

  const refusedAtPort: readonly (readonly [what: string, options: object])[] = [
    ['no certificate', showsNone],
    ['one of the same name by nobody known', shows('stranger')],
    ['one that has expired', shows('expired')],
  ];
  for (const [what, options] of refusedAtPort) {
    it(`has no connection with a client of ${what} where one is required, which holds where nothing is said`, async () => {
      for (const said of ['require', undefined]) {
        const { wss, backend } = await setUp(said);
        await assert.rejects(openClient(wss, options));
        assert.equal(seen, undefined);
        assert.equal(backend.requests.length, 0);
      }
    });

    it(`refuses ${what} on the route where it is only requested`, async () => {
      const { wss, backend } = await setUp('request');
      const refusal = await refusedClient(wss, options);
      assert.equal(refusal.status, 403);
      assert.match(refusal.body, /certificate is needed/);
      assert.equal(backend.requests.length, 0);
    });

    it(`lets ${what} in as nobody where none is needed`, async () => {
      const { wss } = await setUp('request', { required: false });
      await open(wss, options);
      assert.equal(seen?.identity, undefined);
      assert.equal(seen?.request.certificate, undefined);
    });
  }

  it('refuses a certificate that does not fit, also where none is needed', async () => {
    const { wss } = await setUp('request', { allow: [{ CN: 'bob' }], required: false });
    assert.equal((await refusedClient(wss, shows('ann'))).status, 403);
  });

  it('is not led astray by names that look like several', async () => {
    const rules = [{ CN: 'ann' }, { O: 'Shop' }, { dns: 'till-1.shop.example' }, { uri: 'spiffe://shop.example/till/1' }];
    const { wss } = await setUp('require', { allow: rules });
    assert.equal((await refusedClient(wss, shows('tricky'))).status, 403);
    const all = await setUp('require', { subject: 'dns' });
    await open(all.wss, shows('tricky'));
    assert.equal(seen?.identity?.subject, 'x.example, DNS:till-1.shop.example');
    assert.deepEqual(seen.request.certificate?.subject['CN'], ['bob\\, O=Shop, CN=ann']);
  });

  it('refuses a certificate without the name that it is to be known by', async () => {
    const { wss } = await setUp('require');
    assert.equal((await refusedClient(wss, shows('nameless'))).status, 403);
  });

  it('takes the first of several names', async () => {
    const { wss } = await setUp('require', { allow: [{ CN: 'ann' }] });
    await open(wss, shows('double'));
    assert.deepEqual(seen?.request.certificate?.subject['CN'], ['eve', 'ann']);
    assert.equal(seen.identity?.subject, 'eve');
  });

  it('believes no header field about certificates', async () => {
    const { wss } = await setUp('request');
    const headers = { 'X-Forwarded-Client-Cert': 'Subject="CN=ann"', 'X-SSL-Client-CN': 'ann', 'X-Client-Cert': 'ann' };
    assert.equal((await refusedClient(wss, { ...showsNone, headers })).status, 403);
  });

  it('keeps apart who goes on with an earlier TLS session: with a certificate, and without', async () => {
    const { port, backend } = await setUp('request');
    const statuses: string[] = [];
    for (const options of [showsNone, shows('ann')]) {
      const first = await ask(port, options);
      const again = await ask(port, { ...showsNone, session: first.session });
      assert.ok(again.reused);
      statuses.push(first.status, again.status);
    }
    assert.deepEqual(statuses, ['403', '403', '200', '200']);
    assert.equal(backend.requests.length, 2);
  });

  it('needs an authority to ask for certificates', async () => {
    const tls = { cert: serverCertificate, key: serverKey, clientCertificates: 'request' };
    const settings = { listen: [{ port: 0, tls }], routes: [{ id: 'a', target: 'http://127.0.0.1:1' }] };
    await assert.rejects(loadSettings(settings), /clientCertificates.*needs "ca"/s);
  });

  it('gets no certificate at a port that has no authority', async () => {
    const tls = { cert: serverCertificate, key: serverKey };
    const settings = { listen: [{ host: '127.0.0.1', port: 0, tls }] };
    const stage = await setStage({ settings, route: { policies: [{ use: 'mtls' }] } });
    const wss = stage.url.replace('https://127.0.0.1', 'wss://localhost');
    assert.equal((await refusedClient(wss, shows('ann'))).status, 403);
  });
});

describe('mtls, by itself', () => {
  const certificate: ClientCertificate = {
    subject: { CN: ['ann'], O: ['Shop'], OU: ['Tills', 'Doors'] },
    altNames: [
      { kind: 'dns', value: 'Till-1.shop.example' },
      { kind: 'uri', value: 'spiffe://shop.example/till/1' },
      { kind: 'ip', value: '192.0.2.7' },
    ],
    fingerprint256: `${'AB:'.repeat(31)}CD`,
    serial: '01',
    expiresAt: 1_700_000_060_000,
  };
  const fits = async (rule: object): Promise<boolean> => {
    const policy = await createPolicy(mtls, { allow: [rule] }, { clock: new ManualClock() });
    return (await connect(policy, testSession({ certificate }))).verdict === undefined;
  };

  it('takes what a rule says in all its parts', async () => {
    const rules: readonly object[] = [
      { CN: 'ann' },
      { OU: 'Doors' },
      { O: 'Shop', OU: 'Tills', dns: '*.shop.example' },
      { dns: 'till-1.SHOP.example' },
      { uri: 'spiffe://shop.example/*' },
      { uri: '*' },
      { ip: '192.0.2.7' },
      { fingerprint: certificate.fingerprint256.toLowerCase(), CN: 'a*n' },
    ];
    for (const rule of rules) assert.ok(await fits(rule), JSON.stringify(rule));
  });

  it('refuses what a rule does not say, or says in part', async () => {
    const rules: readonly object[] = [
      { CN: 'Ann' },
      { CN: 'an' },
      { CN: 'nn' },
      { CN: 'a.n' },
      { O: 'Shop', CN: 'bob' },
      { dns: 'shop.example' },
      { dns: '*.shopxexample' },
      { uri: 'SPIFFE://shop.example/till/1' },
      { uri: 'spiffe://shop.example/' },
      { email: '*' },
      { dns: '192.0.2.7' },
      { fingerprint: `${'AB:'.repeat(31)}CE` },
    ];
    for (const rule of rules) assert.equal(await fits(rule), false, JSON.stringify(rule));
  });

  it('ends a session with its certificate, and lets none begin after it', async () => {
    const clock = new ManualClock();
    const policy = await createPolicy(mtls, {}, { clock });
    const session = testSession({ certificate });
    await connect(policy, session);
    const held = testSession({ certificate, transport: 'request' });
    await connect(policy, held);
    assert.equal(clock.pending, 1);
    policy.held?.(held);
    assert.equal(clock.pending, 2);
    clock.advance(60_000);
    assert.equal(session.ended?.code, 'expired-token');
    assert.match(session.ended.detail, /certificate has expired/);
    const { verdict } = await connect(policy, testSession({ certificate }));
    assert.ok(verdict?.kind === 'deny');
    const unread = { ...certificate, expiresAt: Number.NaN };
    assert.equal((await connect(policy, testSession({ certificate: unread }))).verdict?.kind, 'deny');
  });

  it('leaves a session alone that has ended, and all where the options say so', async () => {
    const clock = new ManualClock();
    const policy = await createPolicy(mtls, {}, { clock });
    const session = testSession({ certificate });
    await connect(policy, session);
    policy.disconnect?.(session);
    await connect(await createPolicy(mtls, { closeAtExpiry: false }, { clock }), testSession({ certificate }));
    assert.equal(clock.pending, 0);
  });
});

/** One request on a TLS connection of its own: its status, and what the next can go on with. */
async function ask(port: number, options: object): Promise<{ status: string; session: Buffer | undefined; reused: boolean }> {
  const socket: TLSSocket = connectTls({ port, host: '127.0.0.1', servername: 'localhost', ...options });
  let session: Buffer | undefined;
  let text = '';
  let reused = false;
  socket.once('secureConnect', () => (reused = socket.isSessionReused()));
  socket.on('session', (ticket: Buffer) => (session = ticket));
  socket.on('data', (data: Buffer) => (text += data.toString()));
  socket.write(requestText('/', { headers: ['Connection: close'] }));
  await once(socket, 'close');
  return { status: text.slice(9, 12), session, reused };
}
