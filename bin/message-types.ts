/** `foregate types`: writes TypeScript types of the messages that an API document describes. */
import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Command } from 'commander';
import type { compile } from 'json-schema-to-typescript';
import { problemOf } from '../gateway/config/documents.ts';
import { isMapping, type Mapping } from '../gateway/core/mapping.ts';
import { ConfigError } from '../gateway/core/problem.ts';
import { readApiDocument, type ApiDocument } from '../openapi/document/api-document.ts';
import {
  describedChannelOperations,
  describedOperations,
  type DescribedOperations,
} from '../openapi/messages/described-operations.ts';
import type { DocumentFinding } from '../openapi/document/document-finding.ts';
import { messageTypeSchema } from '../openapi/messages/message-types.ts';

interface Options {
  readonly openapi?: string;
  readonly asyncapi?: string;
  readonly output?: string;
  readonly network?: boolean;
}

export function typesCommand(): Command {
  return new Command('types')
    .description(
      'Writes TypeScript types of the messages and path parameters of each operation with "x-foregate-messages", or of each channel of an AsyncAPI document, for "foregate/express". Needs the package json-schema-to-typescript.',
    )
    .option('--openapi <file>', 'an OpenAPI document')
    .option('--asyncapi <file>', 'an AsyncAPI document')
    .option('-o, --output <file>', 'where to write, also over what is there (default: standard output)')
    .option('--network', 'follow "$ref"s to http(s) URLs')
    .action(types);
}

async function types({ openapi, asyncapi, output, network = false }: Options): Promise<void> {
  const file = openapi ?? asyncapi;
  if (file === undefined || (openapi !== undefined && asyncapi !== undefined))
    throw new Error('Name one document, with --openapi or --asyncapi.');
  const document = await readApiDocument(file, { network });
  const text = await typesOf(
    document,
    openapi === undefined ? describedChannelOperations(document) : describedOperations(document),
  );
  if (output === undefined) process.stdout.write(text);
  else await writeFile(output, text);
}

/** @throws ConfigError for what is wrong with the document, and Error where it describes no messages */
async function typesOf(document: ApiDocument, described: DescribedOperations): Promise<string> {
  const { operations } = described;
  refuse(described.findings, described);
  if (operations.length === 0) throw new Error(`${document.file} describes no messages, which "x-foregate-messages" does.`);
  const { schema, findings } = messageTypeSchema(operations, document);
  refuse(findings, described);
  return typescript(schema, basename(document.file));
}

function refuse(findings: readonly DocumentFinding[], described: DescribedOperations): void {
  if (findings.length > 0) throw new ConfigError(findings.map((finding) => problemOf(finding, described)));
}

async function typescript(schema: Mapping, file: string): Promise<string> {
  const library = await loadLibrary();
  const bannerComment = `/** Types of the messages in ${file.replaceAll('*/', '* /')}, written by "foregate types": changes here are lost. */`;
  return library.compile(withSides(schema), 'Operations', {
    bannerComment,
    additionalProperties: false,
    style: { singleQuote: true, printWidth: 128 },
  });
}

/** What is not described may be anything that could be sent without types. */
function withSides(schema: Mapping): Mapping {
  const operations = isMapping(schema['properties']) ? Object.entries(schema['properties']) : [];
  return {
    ...schema,
    properties: Object.fromEntries(operations.map(([name, one]) => [name, isMapping(one) ? withBoth(one) : one])),
  };
}

function withBoth(operation: Mapping): Mapping {
  const described = isMapping(operation['properties']) ? operation['properties'] : {};
  const properties = { client: { tsType: 'unknown' }, backend: { tsType: 'string | Uint8Array' }, ...described };
  return { ...operation, properties, required: Object.keys(properties) };
}

async function loadLibrary(): Promise<{ readonly compile: typeof compile }> {
  try {
    return await import('json-schema-to-typescript');
  } catch (cause) {
    throw new Error(missing, { cause });
  }
}

const missing =
  '"foregate types" needs the package json-schema-to-typescript, which cannot be loaded: run "npm install --save-dev json-schema-to-typescript@16" where Foregate is installed.';
