/** What is remembered is bounded, and forgotten in time. */
import assert from 'node:assert/strict';
import { limits } from '../../gateway/core/limits.ts';
import { ManualClock } from '../../gateway/testing/index.ts';
import { Answers, Questions } from '../../policies/answers.ts';

describe('answers', () => {
  it('are kept for their time, the latest of each question', () => {
    const clock = new ManualClock();
    const answers = new Answers<string>(clock);
    answers.keep('a', 'first', 10);
    answers.keep('a', 'second', 20);
    clock.advance(19);
    assert.equal(answers.get('a'), 'second');
    clock.advance(1);
    assert.equal(answers.get('a'), undefined);
  });

  it('are not kept for no time, and then the one before is gone, too', () => {
    const answers = new Answers<string>(new ManualClock());
    answers.keep('a', 'first', 10);
    answers.keep('a', 'second', 0);
    assert.equal(answers.get('a'), undefined);
  });

  it('give way to newer ones when there are too many', () => {
    const answers = new Answers<number>(new ManualClock());
    for (let i = 0; i <= limits.authAnswers; i += 1) answers.keep(`${i}`, i, 10);
    assert.equal(answers.get('0'), undefined);
    assert.equal(answers.get('1'), 1);
    assert.equal(answers.get(`${limits.authAnswers}`), limits.authAnswers);
  });
});

describe('questions', () => {
  it('are asked once at a time, and again after an answer or a failure', async () => {
    const questions = new Questions<number>();
    let asked = 0;
    const ask = async (): Promise<number> => {
      asked += 1;
      await Promise.resolve();
      if (asked === 2) throw new Error('no answer');
      return asked;
    };
    assert.deepEqual(await Promise.all([questions.ask('a', ask), questions.ask('a', ask)]), [1, 1]);
    await assert.rejects(questions.ask('a', ask));
    assert.equal(await questions.ask('a', ask), 3);
  });
});
