/** What the parser of the AsyncAPI initiative says of a document. */
import { Parser } from '@asyncapi/parser';

const parser = new Parser();

/** Two of its severities. */
const [error, warning]: readonly number[] = [0, 1];

/** Errors and warnings, each with its place. */
export async function parserFindings(document: string): Promise<string[]> {
  const found = await parser.validate(document);
  const serious = found.filter(({ severity }) => [error, warning].includes(severity));
  return serious.map(({ code, message, path }) => `${path.join('.')}: ${code}: ${message}`);
}
