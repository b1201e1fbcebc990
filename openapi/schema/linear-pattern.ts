/**
 * Regular expressions whose time grows with the text and no faster, whatever they and the text are (RE2): for schemas that come from
 * outside, and texts that come from anybody.
 */
import { RE2JS } from 're2js';
import { ForegateError } from '../../gateway/core/errors.ts';
import { plainPattern } from './plain-pattern.ts';

export interface Pattern {
  test(text: string): boolean;
  toString(): string;
}

/** @throws ForegateError `bad-request` for what only a slow engine could do */
export function linearPattern(pattern: string): Pattern {
  try {
    const compiled = RE2JS.compile(RE2JS.translateRegExp(pattern));
    const fast = plainPattern(pattern);
    return { test: (text) => (fast ?? compiled).test(text), toString: () => `linear ${pattern}` };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `the pattern ${JSON.stringify(pattern)} is none here, where there is no looking around and no \\1: ${reason}`;
    throw new ForegateError('bad-request', message, { cause });
  }
}
