import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { applyFilters as apply, buildBodyIds, type CurrentIdOf } from '../../gateway/channel/filters.ts';
import type { Publication, Subscription } from '../../gateway/core/publication.ts';
import { closeItem, item, news, plainShape, Recorder } from './recorder.ts';

interface Given {
  readonly filters: readonly string[];
  readonly meta?: Record<string, string>;
  readonly joined?: readonly string[];
}

function subscription({ filters, meta = {}, joined = [] }: Given): Subscription {
  return { channel: news, filters, currentId: undefined, subscriber: new Recorder({ meta, joined }) };
}

/** Without current ids in other channels, unless they are given. */
function applyFilters(publication: Publication, to: Subscription, idOf: CurrentIdOf = () => undefined): Publication | undefined {
  return apply(publication, to, idOf);
}

/** The content after the filters, or undefined if the item was dropped. */
function filtered(publication: Publication, given: Given): string | undefined {
  const own = applyFilters(publication, subscription(given));
  return own && plainShape.content(own)?.toString();
}

function withMeta(meta: Record<string, string>): Publication {
  return item('a', { meta: new Map(Object.entries(meta)) });
}

describe('filters', () => {
  it('give the same publication where nothing changes', () => {
    const publication = item('50%', { meta: new Map([['sender', 'bob']]) });
    assert.equal(applyFilters(publication, subscription({ filters: [] })), publication);
    assert.equal(
      applyFilters(publication, subscription({ filters: ['skip-self', 'require-sub'], meta: { user: 'ann' } })),
      publication,
    );
    assert.equal(applyFilters(item('no directive'), subscription({ filters: ['var-subst'] }))?.formats.message?.action, 'send');
  });

  it('ignore unknown names', () => {
    assert.equal(filtered(item('a'), { filters: ['http-chek', 'toString', '', 'Skip-Self'] }), 'a');
  });

  it('drop an item at the first filter that does, whatever the others say', () => {
    const own = item('%(name)s', { meta: new Map([['sender', 'ann']]) });
    assert.equal(filtered(own, { filters: ['var-subst', 'skip-self'], meta: { user: 'ann', name: 'x' } }), undefined);
  });

  it('drop actions, and let content filters pass them', () => {
    const own = { ...closeItem, meta: new Map([['sender', 'ann']]) };
    assert.equal(applyFilters(own, subscription({ filters: ['skip-self'], meta: { user: 'ann' } })), undefined);
    assert.equal(applyFilters(own, subscription({ filters: ['build-id', 'var-subst'] })), own);
  });

  it('change content in their order', () => {
    const given = { filters: ['var-subst', 'build-id'], meta: { id_format: 'x', a: '%(7)I' } };
    assert.equal(filtered(item('%(a)s'), given), '7');
    assert.equal(filtered(item('%(a)s'), { ...given, filters: ['build-id', 'var-subst'] }), undefined);
  });

  describe('skip-self', () => {
    const skip = (sender: string | undefined, user: string | undefined): string | undefined =>
      filtered(withMeta(sender === undefined ? {} : { sender }), {
        filters: ['skip-self'],
        ...(user === undefined ? {} : { meta: { user } }),
      });

    it('drops what the user sent', () => assert.equal(skip('ann', 'ann'), undefined));
    it('passes what others sent', () => assert.equal(skip('bob', 'ann'), 'a'));
    it('passes where a name is missing or empty', () => {
      assert.equal(skip(undefined, 'ann'), 'a');
      assert.equal(skip('ann', undefined), 'a');
      assert.equal(skip(undefined, undefined), 'a');
      assert.equal(skip('', ''), 'a');
    });
  });

  describe('skip-users', () => {
    const skip = (skip_users: string, user: string): string | undefined =>
      filtered(withMeta({ skip_users }), { filters: ['skip-users'], meta: { user } });

    it('drops for users in the list, trimmed', () => {
      assert.equal(skip('bob, ann ,eve', 'ann'), undefined);
      assert.equal(skip('ann', 'ann'), undefined);
    });

    it('passes for all others', () => {
      assert.equal(skip('bob,annie', 'ann'), 'a');
      assert.equal(skip('bob,,eve', ''), 'a');
      assert.equal(filtered(item('a'), { filters: ['skip-users'], meta: { user: 'ann' } }), 'a');
      assert.equal(filtered(withMeta({ skip_users: 'ann' }), { filters: ['skip-users'] }), 'a');
    });
  });

  describe('require-sub', () => {
    it('drops unless the required channel was joined', () => {
      assert.equal(filtered(withMeta({ require_sub: 'ann' }), { filters: ['require-sub'] }), undefined);
      assert.equal(filtered(withMeta({ require_sub: 'ann' }), { filters: ['require-sub'], joined: ['ann'] }), 'a');
    });

    it('passes where nothing is required', () => {
      assert.equal(filtered(withMeta({ require_sub: '' }), { filters: ['require-sub'] }), 'a');
      assert.equal(filtered(item('a'), { filters: ['require-sub'] }), 'a');
    });
  });

  describe('var-subst', () => {
    const subst = (
      content: string,
      meta: Record<string, string> = { name: 'Ann', 'a)b': 'quoted', größe: 'groß', empty: '' },
    ): string | undefined => filtered(item(content), { filters: ['var-subst'], meta });

    it('replaces names by their values', () => {
      assert.equal(subst('Hi %(name)s%(empty)s, 100%% %(größe)s!'), 'Hi Ann, 100% groß!');
      assert.equal(subst('%(name)s%(name)s'), 'AnnAnn');
    });

    it('finds names in whatever case, since they are kept in lower case', () => assert.equal(subst('%(Name)s'), 'Ann'));

    it('takes the character after a backslash as it is', () => {
      assert.equal(subst(String.raw`%(a\)b)s %(na\me)s`), 'quoted Ann');
    });

    it('does not look into values', () => assert.equal(subst('%(a)s', { a: '%(b)s$&', b: 'x' }), '%(b)s$&'));

    it('drops the item for an unknown name or directive, or one cut short', () => {
      for (const content of [
        '%(other)s',
        '%s',
        '%I',
        '%(name)I',
        '%',
        'x%',
        '%(',
        '%(name',
        '%(name)',
        '%()s',
        '% s',
        '%(name)%',
        String.raw`%(a\)`,
        '%(a\\',
      ]) {
        assert.equal(subst(content), undefined, content);
      }
    });

    it('leaves bytes alone that are no UTF-8', () => {
      const bytes = Buffer.from([0xff, 0x25, 0x25, 0xfe, 0x0a]);
      const publication: Publication = { ...item(''), formats: { message: { action: 'send', type: 'binary', content: bytes } } };
      const own = applyFilters(publication, subscription({ filters: ['var-subst'] }));
      assert.deepEqual(own && plainShape.content(own), Buffer.from([0xff, 0x25, 0xfe, 0x0a]));
    });

    it('changes the content only', () => {
      const publication = item('%(name)s', { id: '7', meta: new Map([['a', 'b']]) });
      const own = applyFilters(publication, subscription({ filters: ['var-subst'], meta: { name: 'x' } }));
      assert.deepEqual(own, {
        ...publication,
        formats: { message: { ...publication.formats.message, content: Buffer.from('x') } },
      });
      assert.equal(plainShape.content(publication)?.toString(), '%(name)s');
    });

    it('gives back any text whose percent signs are doubled', () => {
      fc.assert(
        fc.property(
          fc.string({ unit: fc.constantFrom('%', '(', ')', '\\', 's', 'é', '😀') }),
          (text) => subst(text.replaceAll('%', '%%')) === Buffer.from(text).toString(),
        ),
      );
    });

    it('takes no quadratic time with hostile content', () => {
      const start = performance.now();
      for (const content of ['%('.repeat(500_000), `%(${String.raw`\)`.repeat(500_000)}`, '%(name'.repeat(200_000)])
        assert.equal(subst(content), undefined);
      assert.ok(performance.now() - start < 1_000);
    });
  });

  describe('build-id', () => {
    const build = (
      content: string,
      meta: Record<string, string> = { id_format: 'n-%(news)s' },
      id: string | undefined = '7',
    ): string | undefined => filtered(item(content, id === '' ? {} : { id }), { filters: ['build-id'], meta });

    it("puts the subscriber's id in, with the id of the item being delivered", () =>
      assert.equal(build('id: %I 100%%'), 'id: n-7 100%'));

    it('takes the text in parentheses for the id', () => {
      assert.equal(build('%(start)I'), 'start');
      assert.equal(build(String.raw`%(a\)b)I`), 'a)b');
    });

    it('knows the current ids of other channels, and prefers the id of the item to that of its channel', () => {
      const ids: Record<string, string> = { news: '1', sport: 'ü' };
      const given = subscription({ filters: ['build-id'], meta: { id_format: '%(news)s-%(sport)s' } });
      const own = applyFilters(item('%I', { id: '2' }), given, (_, channel) => ids[channel]);
      assert.equal(own && plainShape.content(own)?.toString(), '2-ü');
    });

    it('works in the body before all items, for given ids only', () => {
      const body = (text: string, meta: Record<string, string>): string | undefined =>
        buildBodyIds(Buffer.from(text), new Map(Object.entries(meta)))?.toString();
      assert.equal(body('%(a)I 100%%', { id_format: 'x' }), 'a 100%');
      assert.equal(body('%(a)I', { id_format: 'x', id_encoding: 'hex' }), '61');
      for (const [text, meta] of [
        ['%I', { id_format: 'x' }],
        ['%(a)I', {}],
        ['%s', { id_format: 'x' }],
      ] as const)
        assert.equal(body(text, { ...meta }), undefined, text);
    });

    it('encodes both in hexadecimal where asked to', () => {
      const meta = { id_format: 'é%(news)s', id_encoding: 'hex' };
      assert.equal(build('%I %(né)I', meta), `${Buffer.from('é7').toString('hex')} ${Buffer.from('né').toString('hex')}`);
    });

    it('keeps ids as UTF-8', () => assert.equal(build('%I', { id_format: 'é%(news)s%%' }, 'ü'), 'éü%'));

    it('drops the item without an id format or with an unknown encoding', () => {
      assert.equal(build('no directive', {}), undefined);
      assert.equal(build('%(x)I', { id_format: 'x', id_encoding: 'base64' }), undefined);
    });

    it('drops the item where there is no id, but takes given ones', () => {
      assert.equal(build('%I', { id_format: 'n-%(news)s' }, ''), undefined);
      assert.equal(build('%(x)I', { id_format: 'n-%(news)s' }, ''), 'x');
    });

    it('drops the item where the format names a channel without a current id, or is broken', () => {
      for (const id_format of ['%(news)s-%(sport)s', '%s', '%(news)I', '%'])
        assert.equal(build('%I', { id_format }), undefined, id_format);
    });

    it('drops the item for other directives', () => {
      for (const content of ['%s', '%(news)s', '%', '%(x)', '%(x)%']) assert.equal(build(content), undefined, content);
    });
  });

  describe('content filters of the publisher', () => {
    const meta = { id_format: '%(news)s', name: 'x' };
    const fit = (contentFilters: readonly string[], filters: readonly string[]): boolean =>
      filtered(item('a', { contentFilters, id: '1' }), { filters, meta }) !== undefined;

    it('must equal those of the subscription that change content, in order', () => {
      assert.ok(fit([], []));
      assert.ok(fit(['build-id'], ['build-id']));
      assert.ok(fit(['build-id', 'var-subst'], ['skip-self', 'build-id', 'unknown', 'var-subst']));
      assert.ok(fit([], ['skip-self']));
    });

    it('drop the item otherwise', () => {
      assert.ok(!fit(['build-id'], []));
      assert.ok(!fit([], ['build-id']));
      assert.ok(!fit(['build-id', 'var-subst'], ['var-subst', 'build-id']));
      assert.ok(!fit(['build-id'], ['build-id', 'var-subst']));
      assert.ok(!fit(['skip-self'], ['skip-self']));
    });
  });
});
