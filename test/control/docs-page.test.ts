import assert from 'node:assert/strict';
import type { Server } from 'node:http';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { controlServer } from '../../gateway/control/server.ts';
import { need } from '../support/debian.ts';
import { documentedOperations } from '../openapi/control/document-schemas.ts';
import { documentedCalls } from './documented-calls.ts';
import { controlParts, FakeHost, listen } from './fake-host.ts';

describe('the page of the control API', function () {
  this.timeout(30_000);
  const users = [{ user: 'ann', password: 'secret' }];
  let host: FakeHost;
  let server: Server;
  let origin: string;

  before(async () => {
    host = new FakeHost();
    server = controlServer(controlParts(host, { auth: { basic: users, bearer: ['k'] } }));
    origin = `http://127.0.0.1:${await listen(server)}`;
  });

  after(() => {
    server.closeAllConnections();
    server.close();
  });

  it('says what browsers may do with it', async () => {
    const { headers } = await documentedCalls(server).get('/docs').auth('ann', 'secret').expect(200);
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /^default-src 'none'; .*frame-ancestors 'none'$/);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
  });

  it('has files that browsers keep, and ask for only if they have changed', async () => {
    const get = () => documentedCalls(server).get('/docs/swagger-ui-bundle.js').auth('ann', 'secret');
    const { headers } = await get().expect(200);
    assert.equal(headers['cache-control'], 'private, no-cache');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    const again = await get().set('If-None-Match', String(headers['etag']));
    assert.deepEqual([again.status, again.text], [304, '']);
  });

  describe('in a browser', () => {
    let browser: Browser;
    let context: BrowserContext;
    let page: Page;
    let faults: string[];
    let requested: string[];

    before(async () => {
      browser = await chromium.launch({
        executablePath: need('chromium'),
        args: ['--headless', '--no-sandbox', '--disable-gpu'],
      });
    });
    after(() => browser?.close());

    beforeEach(async () => {
      const [{ user: username, password } = { user: '', password: '' }] = users;
      context = await browser.newContext({ httpCredentials: { username, password, origin } });
      page = await context.newPage();
      page.setDefaultTimeout(10_000);
      faults = [];
      requested = [];
      page.on('console', (message) => void (message.type() === 'error' && faults.push(message.text())));
      page.on('pageerror', (error) => void faults.push(error.message));
      context.on('request', (request) => void requested.push(request.url()));
      await page.goto(`${origin}/docs/`);
      await page.locator('.opblock').first().waitFor();
    });
    afterEach(() => context.close());

    it('shows every operation, and asks nobody but this machine', async () => {
      const shown = await page.locator('.opblock-summary').allInnerTexts();
      const paths = documentedOperations().map(({ method, path }) => `${method.toUpperCase()} ${path}`);
      assert.deepEqual(
        shown
          .map((text) =>
            text
              .replace(/\u200b/g, '')
              .split(/\s+/)
              .slice(0, 2)
              .join(' '),
          )
          .toSorted(),
        paths.toSorted(),
      );
      await page.locator('#operations-Sessions-renew .opblock-summary-control').click();
      await page.getByText('The token is of another subject.').waitFor();
      assert.deepEqual(faults, []);
      assert.deepEqual(
        requested.filter((url) => !url.startsWith(`${origin}/`) && !url.startsWith('data:')),
        [],
      );
    });

    it('makes calls to where it came from, as who has opened it', async () => {
      const publish = page.locator('#operations-Publishing-publish');
      await publish.locator('.opblock-summary-control').click();
      await publish.getByRole('button', { name: 'Try it out' }).click();
      await publish.getByRole('button', { name: 'Execute' }).click();
      await publish.locator('.live-responses-table').getByText('Published').waitFor();
      assert.deepEqual(host.publishedTo, ['news']);
      assert.deepEqual(faults, []);
    });
  });
});
