/**
 * A minute of trouble, with figures: `npm run soak`, or `node --expose-gc bench/soak.ts SECONDS CLIENTS`. Sockets and streams
 * talk without a pause while the configuration is reloaded every second and the backend is restarted every ten; then all leave.
 * Prints what was lost (nothing), and heap and handles before and after. Ends with 1 if anything is not as it was.
 */
import { setTimeout as after } from 'node:timers/promises';
import { startBackend, type Backend } from '../test/support/backend.ts';
import { loadSettings, startForegate } from '../test/support/gateway.ts';
import { answerCrowd, Crowd } from '../test/faults/crowd.ts';

const [seconds = 60, clients = 1000] = process.argv.slice(2).map(Number);
const heapGrowthMaxMb = 5;

let backend = await startBackend(answerCrowd);
const policies = [{ use: 'rate-limit', messages: 1_000_000_000, window: '1h', by: 'session' }];
const settings = { routes: [{ id: 'all', target: backend.origin, policies }] };
const foregate = await startForegate(settings);

await round(2, 200); // What is made once is made now.
backend = await restarted();
await after(3000);
const before = weigh();
const { counts, reloads, restarts, published, said } = await round(seconds, clients);
backend = await restarted(); // It keeps all requests in memory.
await after(3000); // Replaced policies and connections are put away in time.
const left = weigh();

console.log(`${clients} sockets and ${clients} streams, ${seconds} s, ${reloads} reloads, ${restarts} restarts of the backend`);
console.log(`messages  said ${said}, echoed ${counts.echoes}`);
console.log(`items     published ${published}, to sockets ${counts.pushed}, to streams ${counts.streamed}`);
console.log(`closed    ${counts.closed}, out of order ${counts.wrong}`);
console.log(`heap      ${before.heapMb.toFixed(1)} MB before, ${left.heapMb.toFixed(1)} MB after`);
console.log(`handles   ${before.handles} before, ${left.handles} after`);

const delivered = counts.pushed === published * clients && counts.streamed === published * clients && counts.echoes === said;
const clean = left.heapMb - before.heapMb < heapGrowthMaxMb && left.handles <= before.handles;
if (!delivered || !clean || counts.closed + counts.wrong > 0) process.exitCode = 1;
await foregate.stop();
await backend.stop();

async function round(lastsSeconds: number, each: number) {
  const crowd = new Crowd(foregate);
  await crowd.open(each, each);
  let turns = 0;
  let stops = 0;
  const end = Date.now() + lastsSeconds * 1000;
  for (; Date.now() < end; turns += 1) {
    crowd.say();
    await Promise.all([crowd.publish(), foregate.foregate.reload(await loadSettings(settings)), after(1000)]);
    if (turns % 10 === 5) {
      await quiet(crowd, (turns + 1) * each); // A request that is under way has an unknown fate (GRIP 2.10).
      await backend.stop();
      crowd.say();
      turns += 1;
      await crowd.publish();
      await after(500);
      backend = await startBackend(answerCrowd, backend.port);
      stops += 1;
    }
  }
  await quiet(crowd, turns * each);
  crowd.leave();
  await after(1000);
  return { counts: crowd.counts, reloads: turns, restarts: stops, published: crowd.published, said: turns * each };
}

/** Waits until all echoes are there, or it takes too long. */
async function quiet(crowd: Crowd, echoes: number): Promise<void> {
  for (let wait = 0; wait < 300 && crowd.counts.echoes < echoes; wait += 1) await after(100);
}

async function restarted(): Promise<Backend> {
  await backend.stop();
  return startBackend(answerCrowd, backend.port);
}

function weigh(): { readonly heapMb: number; readonly handles: number } {
  for (let i = 0; i < 3; i += 1) globalThis.gc?.();
  return { heapMb: process.memoryUsage().heapUsed / 1e6, handles: process.getActiveResourcesInfo().length };
}
