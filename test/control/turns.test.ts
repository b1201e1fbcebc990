import assert from 'node:assert/strict';
import { Turns } from '../../gateway/control/turns.ts';
import { gate } from './fake-host.ts';

describe('turns', () => {
  it('run at once and without a promise while nothing waits', () => {
    const done: number[] = [];
    const turns = new Turns();
    turns.take({}, () => void done.push(1));
    assert.deepEqual(done, [1]);
  });

  it('keep the order of one connection and let others pass', async () => {
    const done: string[] = [];
    const turns = new Turns();
    const [slow, other] = [{}, {}];
    const { passed, open } = gate();
    turns.take(slow, () => passed.then(() => void done.push('first')));
    turns.take(slow, () => void done.push('second'));
    turns.take(slow, async () => void done.push('third'));
    turns.take(other, () => void done.push('other'));
    assert.deepEqual(done, ['other']);
    open();
    await new Promise(setImmediate);
    assert.deepEqual(done, ['other', 'first', 'second', 'third']);
    turns.take(slow, () => void done.push('at once'));
    assert.equal(done.at(-1), 'at once');
  });

  it('refuse when too many wait, and take again afterwards', async () => {
    const turns = new Turns();
    const connection = {};
    const { passed, open } = gate();
    const taken = Array.from({ length: 70 }, () => turns.take(connection, () => passed));
    assert.equal(taken.filter(Boolean).length, 64);
    open();
    await new Promise(setImmediate);
    assert.equal(
      turns.take(connection, () => {}),
      true,
    );
  });
});
