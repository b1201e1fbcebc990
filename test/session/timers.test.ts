/** GRIP 2.7 and 3.3: the timers a backend may set. Short ones, since the least that the protocol allows is 20 s. */
import assert from 'node:assert/strict';
import type { Message } from '../../gateway/core/event.ts';
import { SessionTimers } from '../../gateway/session/timers.ts';

const message = (data: string): Message => ({ kind: 'text', data: Buffer.from(data) });

function made() {
  const happened: string[] = [];
  const send = (sent: Message): void => {
    happened.push(sent.data.toString());
    timers.sent();
  };
  const timers: SessionTimers = new SessionTimers({ ask: () => void happened.push('ask'), send, keepAlive: send });
  return { timers, happened };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('asking after silence (GRIP 2.7)', () => {
  it('begins when a request has ended, and anew with each', async () => {
    const { timers, happened } = made();
    timers.askEvery(60);
    await pause(80);
    assert.deepEqual(happened, []);
    timers.rested();
    await pause(40);
    timers.rested();
    await pause(40);
    assert.deepEqual(happened, []);
    await pause(40);
    assert.deepEqual(happened, ['ask']);
    assert.equal(timers.asks, true);
  });

  it('ends when it is turned off', async () => {
    const { timers, happened } = made();
    timers.askEvery(20);
    timers.rested();
    timers.askEvery(undefined);
    await pause(40);
    timers.rested();
    await pause(40);
    assert.deepEqual(happened, []);
    assert.equal(timers.asks, false);
  });
});

describe('frames for the client (GRIP 3.3)', () => {
  it('come again and again, in idle mode only after silence', async () => {
    const { timers, happened } = made();
    timers.keepAlive({ message: message('tick'), mode: 'idle', timeoutMs: 1060 });
    await pause(1200);
    assert.ok(happened.length >= 1);
    timers.cancel();
    const before = happened.length;
    await pause(100);
    assert.equal(happened.length, before);
  });

  it('are delayed once; another lets the first go at once', async () => {
    const { timers, happened } = made();
    timers.sendDelayed(message('first'), 30);
    timers.sendDelayed(message('second'), 30);
    assert.deepEqual(happened, ['first']);
    await pause(60);
    assert.deepEqual(happened, ['first', 'second']);
    timers.flushDelayed();
    assert.deepEqual(happened, ['first', 'second']);
  });

  it('are forgotten with the session', async () => {
    const { timers, happened } = made();
    timers.askEvery(20);
    timers.rested();
    timers.sendDelayed(message('x'), 20);
    timers.keepAlive({ message: message('y'), mode: 'interval', timeoutMs: 20 });
    timers.cancel();
    await pause(50);
    assert.deepEqual(happened, []);
  });
});
