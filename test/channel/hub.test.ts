import assert from 'node:assert/strict';
import { channelName } from '../../gateway/core/ids.ts';
import { item, news, Recorder, sport, TestHub, turns } from './recorder.ts';

describe('hub', () => {
  it('delivers a publication to everyone in its channel and to nobody else', async () => {
    const hub = new TestHub();
    const [ann, bob, eve] = [new Recorder(), new Recorder(), new Recorder()];
    void hub.join(ann, news, []);
    void hub.join(bob, news, []);
    void hub.join(eve, sport, []);
    hub.receive(item('a'));
    await turns();
    assert.deepEqual([ann.text, bob.text, eve.text], ['a;', 'a;', '']);
    assert.deepEqual(ann.channels, [news]);
  });

  it('delivers a publication once to a session that joined twice', async () => {
    const hub = new TestHub();
    const ann = new Recorder();
    void hub.join(ann, news, []);
    void hub.join(ann, news, []);
    hub.receive(item('a'));
    await turns();
    assert.equal(ann.text, 'a;');
    assert.equal(hub.subscriptionCount, 1);
  });

  it('replaces the filters of a session that joins again', async () => {
    const hub = new TestHub();
    const ann = new Recorder({ meta: { user: 'ann' } });
    void hub.join(ann, news, ['skip-self']);
    hub.receive(item('a', { meta: new Map([['sender', 'ann']]) }));
    await turns();
    void hub.join(ann, news, []);
    hub.receive(item('b', { meta: new Map([['sender', 'ann']]) }));
    await turns();
    assert.equal(ann.text, 'b;');
  });

  it('delivers nothing to who has left', async () => {
    const hub = new TestHub();
    const [ann, bob] = [new Recorder(), new Recorder()];
    void hub.join(ann, news, []);
    void hub.join(bob, news, []);
    hub.leave(ann, news);
    hub.receive(item('a'));
    await turns();
    assert.deepEqual([ann.text, bob.text], ['', 'a;']);
  });

  it('lets a dropped session leave all its channels', async () => {
    const hub = new TestHub();
    const ann = new Recorder();
    for (const name of [news, sport, channelName('third')]) void hub.join(ann, name, []);
    hub.drop(ann);
    hub.receive(item('a'));
    await turns();
    assert.equal(ann.text, '');
    assert.equal(hub.subscriptionCount, 0);
    assert.deepEqual([...hub.channels()], []);
  });

  it('ignores leaving and dropping of who never joined', () => {
    const hub = new TestHub();
    const ann = new Recorder();
    hub.leave(ann, news);
    hub.drop(ann);
    void hub.join(ann, news, []);
    hub.leave(ann, sport);
    assert.equal(hub.subscriptionCount, 1);
  });

  it('lets a session leave any of its channels and keeps the others', () => {
    const names = ['a', 'b', 'c', 'd'].map(channelName);
    for (const gone of names) {
      const hub = new TestHub();
      const ann = new Recorder();
      for (const name of names) void hub.join(ann, name, []);
      hub.leave(ann, gone);
      assert.deepEqual(
        hub.channelsOf(ann).toSorted(),
        names.filter((name) => name !== gone),
      );
      assert.equal(hub.joined(ann, gone), false);
    }
  });

  it('lists channels with the number of their subscribers', () => {
    const hub = new TestHub();
    const ann = new Recorder();
    void hub.join(ann, news, []);
    void hub.join(new Recorder(), news, []);
    void hub.join(ann, sport, []);
    assert.deepEqual(
      [...hub.channels()],
      [
        { channel: news, subscribers: 2 },
        { channel: sport, subscribers: 1 },
      ],
    );
    assert.equal(hub.subscriptionCount, 3);
  });

  it('forgets a publication for a channel without subscribers', async () => {
    const hub = new TestHub();
    hub.receive(item('a'));
    const ann = new Recorder();
    void hub.join(ann, news, []);
    await turns(2);
    assert.equal(ann.text, '');
  });

  it('gives nothing that waited for those who left to a channel made anew', async () => {
    const hub = new TestHub();
    const [ann, bob] = [new Recorder(), new Recorder()];
    void hub.join(ann, news, []);
    hub.receive(item('a'));
    hub.drop(ann);
    void hub.join(bob, news, []);
    hub.receive(item('b'));
    await turns(3);
    assert.deepEqual([ann.text, bob.text], ['', 'b;']);
  });

  describe('interest', () => {
    it('is told to the bus for the first and the last subscriber only', () => {
      const hub = new TestHub();
      const [ann, bob] = [new Recorder(), new Recorder()];
      void hub.join(ann, news, []);
      void hub.join(bob, news, []);
      void hub.join(bob, news, ['skip-self']);
      hub.leave(ann, news);
      assert.deepEqual(hub.wants, ['+news']);
      hub.drop(bob);
      assert.deepEqual(hub.wants, ['+news', '-news']);
      void hub.join(ann, news, []);
      assert.deepEqual(hub.wants, ['+news', '-news', '+news']);
    });

    it('makes no promise where the bus makes none', () => {
      assert.equal(new TestHub().join(new Recorder(), news, []), undefined);
    });

    it('resolves every join only when the bus is ready', async () => {
      let resolve = (): void => {};
      const promise = new Promise<void>((done) => (resolve = done));
      const hub = new TestHub(() => promise);
      const bob = new Recorder();
      const done: string[] = [];
      const joins = [
        Promise.resolve(hub.join(new Recorder(), news, [])).then(() => done.push('first')),
        Promise.resolve(hub.join(bob, news, [])).then(() => done.push('second')),
        Promise.resolve(hub.join(bob, news, ['skip-self'])).then(() => done.push('again')),
      ];
      await turns();
      assert.deepEqual(done, []);
      resolve();
      await Promise.all(joins);
      assert.deepEqual(done, ['first', 'second', 'again']);
      assert.equal(hub.join(new Recorder(), news, []), undefined);
    });

    it('rejects the join with the error of the bus, and the membership stands', async () => {
      const hub = new TestHub(() => Promise.reject(new Error('the engine is away')));
      const ann = new Recorder();
      await assert.rejects(async () => hub.join(ann, news, []), /engine is away/);
      hub.receive(item('a'));
      await turns();
      assert.equal(ann.text, 'a;');
    });

    it('logs a bus that fails to hear that nobody is interested any more', async () => {
      const hub = new TestHub((_, wanted) => (wanted ? undefined : Promise.reject(new Error('the engine is away'))));
      const ann = new Recorder();
      void hub.join(ann, news, []);
      hub.drop(ann);
      await turns();
      assert.deepEqual(hub.logged, ['bus.want-failed']);
    });
  });
});
