/** Writes what was read of a gateway as a `foregate.yaml` for people: what was not understood stands in it as comments. */
import { Document } from 'yaml';
import { comment } from './comment.ts';
import type { ImportedModel, Remark } from './gateway-route.ts';
import { importedSettings, type ImportOptions } from './imported-routes.ts';

/** The same text for the same files: no time, no version. `names`: of the files that were read. */
export function writeImported(model: ImportedModel, names: readonly string[], options: ImportOptions): string {
  const document = new Document(importedSettings(model, options), { aliasDuplicateObjects: false });
  const made = `Made by "foregate import ${options.adapter}" from ${names.join(', ')}. The gateway goes on checking each request; now that is every message.`;
  document.commentBefore = comment([made, ...untaken(model.remarks)].join('\n'));
  return document.toString({ lineWidth: 0 });
}

function untaken(remarks: readonly Remark[]): string[] {
  if (remarks.length === 0) return [];
  return ['', 'Not taken over, or not as it was:', ...remarks.map(({ about, text }) => `  ${about}: ${text}`)];
}
