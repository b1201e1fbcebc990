/** Whatever stands in texts and attributes, the document is well-formed and says it as it was. */
import assert from 'node:assert/strict';
import { assert as holds, pre, property, string } from 'fast-check';
import { element, isXmlText, writeXml } from '../../../adapters/conversion/xml.ts';
import { elementsOf, readXml } from './read-xml.ts';

describe('XML that is written', () => {
  it('is read back as it was by another parser', () => {
    holds(
      property(string({ unit: 'binary' }), string({ unit: 'grapheme' }), (value, text) => {
        pre(isXmlText(value) && isXmlText(text));
        const root = readXml(writeXml(element('a', { value }, [element('b', {}, text), undefined]), 'x'));
        assert.deepEqual([root.attributes['value'], elementsOf(root, 'b')[0]?.text], [value, text]);
      }),
    );
  });

  it('is indented, with empty elements in short', () => {
    const root = element('a', {}, [element('b', { c: '<&>"\n' }), element('d', {}, '<&>"\'')]);
    assert.equal(
      writeXml(root, 'made'),
      '<a>\n  <!-- made -->\n  <b c="&lt;&amp;&gt;&quot;&#10;" />\n  <d>&lt;&amp;&gt;"\'</d>\n</a>\n',
    );
  });

  it('knows what cannot be said', () => {
    for (const text of ['\u0000', '\u001b', '\ufffe', '\ud800']) assert.ok(!isXmlText(text), JSON.stringify(text));
    for (const text of ['', 'ä\t\n', '\u{1f600}']) assert.ok(isXmlText(text), JSON.stringify(text));
  });
});
