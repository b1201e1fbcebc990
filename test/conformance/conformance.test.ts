import { startBackend, type Backend } from './backend.ts';
import { chapters } from './chapters.ts';
import { isExpected, judge, type Result } from './judge.ts';
import { startGateway, type Gateway } from './target.ts';

describe('conformance, on the files of Pushpin', function () {
  this.timeout(150_000); // The cases run together, so the first waits for the others as well.
  let backend: Backend;
  let gateway: Gateway;
  let results: ReadonlyMap<string, Promise<Result>>;

  before(async () => {
    backend = await startBackend();
    gateway = await startGateway('foregate', backend.port);
    results = judge(
      chapters.flatMap(({ cases }) => cases),
      gateway,
      backend,
    );
  });

  after(async () => {
    await gateway?.stop();
    await backend?.stop();
  });

  for (const { number, title, cases } of chapters) {
    describe(`${number} ${title}`, () => {
      for (const { id, rule, known } of cases) {
        it(`${id}: ${rule}${known === undefined ? '' : ` (known: ${known})`}`, async () => {
          const result = await results.get(id);
          if (result && isExpected(result)) return;
          throw result?.error ?? new Error('It passes, although it is listed as a defect: take that line away.');
        });
      }
    });
  }
});
