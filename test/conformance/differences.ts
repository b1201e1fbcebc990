/** The page of what Foregate and Pushpin do differently, from the cases that prove it. */
import type { Case, Difference } from './case.ts';
import { chapters } from './chapters.ts';

/** The text of `docs/pushpin-differences.md`. */
export function differencesPage(): string {
  const all = chapters.map(({ number, title, cases }) => section(`${number} ${title}`, cases)).filter((text) => text !== '');
  const known = chapters.flatMap(({ cases }) => cases).filter((one) => one.known !== undefined);
  return [intro, ...all, ...(known.length > 0 ? [knownSection(known)] : [])].join('\n\n');
}

const intro = `# Differences from Pushpin, case by case

<!-- Made by docs/generate.ts from test/conformance. -->

Every rule of the protocols is a case in \`test/conformance\`, which knows no gateway's code: it starts one as a command, on files in
Pushpin's form, and judges it over sockets. The tests run it against Foregate. Against Debian's Pushpin 1.36 it is run by

\`\`\`sh
apt-get install -y --no-install-recommends pushpin
npm run conformance -- --target pushpin [--only 4.]
\`\`\`

Where the two are meant to differ, the case says so, and proves both. These are all of them. They hold for Foregate on Pushpin's files
(\`foregate run --pushpin-conf\`); what an own configuration changes besides is in [Move from Pushpin](pushpin.md).`;

function section(title: string, cases: readonly Case[]): string {
  const rows = cases.flatMap(({ id, rule, differs }) => (differs ? [row(id, rule, differs)] : []));
  if (rows.length === 0) return '';
  const head = '| case | rule | Foregate | Pushpin 1.36 | reason |\n| --- | --- | --- | --- | --- |';
  return `## ${title}\n\n${head}\n${rows.join('\n')}`;
}

function row(id: string, rule: string, { foregate, pushpin, reason }: Difference): string {
  return `| ${[`\`${id}\``, rule, foregate, pushpin, reason].map(cell).join(' | ')} |`;
}

function knownSection(cases: readonly Case[]): string {
  const rows = cases.map(({ id, rule, known = '' }) => `| ${[`\`${id}\``, rule, known].map(cell).join(' | ')} |`);
  return `## Not yet as it should be\n\nRules that Pushpin keeps and Foregate does not, by mistake or because it has no such part yet.

| case | rule | Foregate |\n| --- | --- | --- |\n${rows.join('\n')}`;
}

function cell(text: string): string {
  return text
    .replaceAll('|', String.raw`\|`)
    .replaceAll('*', String.raw`\*`)
    .replaceAll('<', '&lt;');
}
