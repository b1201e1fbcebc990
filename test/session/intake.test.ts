/** Events go upstream in the order they came, whatever their verdicts take. */
import assert from 'node:assert/strict';
import type { ClientEvent, Message } from '../../gateway/core/event.ts';
import { deny, type Verdict } from '../../gateway/core/policy.ts';
import { Intake } from '../../gateway/session/intake.ts';

const text = (data: string): Message => ({ kind: 'text', data: Buffer.from(data) });
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function made() {
  const happened: string[] = [];
  const say = (event: ClientEvent): string => ('data' in event ? event.data.toString() : event.kind);
  const intake = new Intake({
    forward: (event) => void happened.push(say(event)),
    denied: (denial, message) => void happened.push(`${denial.code} ${say(message)}`),
    pause: () => void happened.push('pause'),
    resume: () => void happened.push('resume'),
  });
  return { intake, happened };
}

function later(ms: number, verdict?: Verdict): Promise<Verdict> {
  return new Promise((resolve) => setTimeout(() => resolve(verdict), ms));
}

describe('the intake', () => {
  it('forwards at once what needs no waiting', () => {
    const { intake, happened } = made();
    intake.take(text('a'), undefined);
    intake.take(text('b'), { kind: 'consumed' });
    intake.take(text('c'), deny('forbidden', ''));
    intake.take({ kind: 'close', reason: '' }, undefined);
    assert.deepEqual(happened, ['a', 'forbidden c', 'close']);
  });

  it('keeps the order when verdicts come out of order', async () => {
    const { intake, happened } = made();
    intake.take(text('a'), later(30));
    intake.take(text('b'), later(5, deny('forbidden', '')));
    intake.take(text('c'), undefined);
    intake.take({ kind: 'close', reason: '' }, undefined);
    await pause(15);
    assert.deepEqual(happened, []);
    await pause(40);
    assert.deepEqual(happened, ['a', 'forbidden b', 'c', 'close']);
  });

  it('waits for the verdicts of successive messages at the same time', async () => {
    const { intake, happened } = made();
    const start = performance.now();
    for (let i = 0; i < 20; i += 1) intake.take(text(String(i)), later(30));
    while (happened.length < 20) await pause(5);
    assert.ok(performance.now() - start < 200);
  });

  it('holds the client and what follows for a delay, then goes on', async () => {
    const { intake, happened } = made();
    intake.take(text('a'), { kind: 'delay', ms: 40 });
    intake.take(text('b'), undefined);
    assert.deepEqual(happened, ['pause']);
    await pause(80);
    assert.deepEqual(happened, ['pause', 'a', 'b', 'resume']);
  });

  it('counts delays from their verdicts, so that those of successive messages do not add up', async () => {
    const { intake, happened } = made();
    const start = performance.now();
    for (const name of ['a', 'b', 'c', 'd']) intake.take(text(name), { kind: 'delay', ms: 200 });
    while (!happened.includes('d')) await pause(5);
    assert.ok(performance.now() - start < 600);
    assert.deepEqual(happened, ['pause', 'a', 'b', 'c', 'd', 'resume']);
  });

  it('stops reading while too many verdicts are outstanding', async () => {
    const { intake, happened } = made();
    let decide: (verdict: Verdict) => void = () => undefined;
    intake.take(text('first'), new Promise<Verdict>((resolve) => (decide = resolve)));
    for (let i = 1; i < 1023; i += 1) intake.take(text('x'), undefined);
    assert.deepEqual(happened, []);
    intake.take(text('last'), undefined);
    assert.deepEqual(happened, ['pause']);
    decide(undefined);
    await pause(5);
    assert.equal(happened.length, 1026);
    assert.equal(happened.at(-1), 'resume');
  });

  it('forgets what waits when it is cleared, and lets the client be read again', async () => {
    const { intake, happened } = made();
    intake.take(text('a'), { kind: 'delay', ms: 20 });
    intake.take(text('b'), later(5));
    intake.clear();
    await pause(50);
    assert.deepEqual(happened, ['pause', 'resume']);
    intake.take(text('c'), undefined);
    assert.equal(happened.at(-1), 'c');
  });

  it('may be cleared from within a denial', async () => {
    const { happened } = made();
    const intake: Intake = new Intake({
      forward: (event) => void happened.push(event.kind),
      denied: () => {
        happened.push('denied');
        intake.clear();
      },
      pause: () => undefined,
      resume: () => undefined,
    });
    intake.take(text('a'), later(5, deny('forbidden', '')));
    intake.take(text('b'), undefined);
    await pause(20);
    assert.deepEqual(happened, ['denied']);
  });
});
