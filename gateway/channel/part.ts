/** Cuts the publications of a round into parts: what a member is handed in one go, in their order. */
import { limits } from '../core/limits.ts';
import type { Publication, Shape } from '../core/publication.ts';
import { contentFiltersFit, noFilters } from './filters.ts';

/** One action or item of its own, or publications joined into bytes; `from` and `to` are their places in the round. */
export type Part = Action | Bytes;

export interface Action {
  readonly kind: 'action';
  readonly publication: Publication;
  /** 0 for an item that is not for members without filters. */
  readonly items: 0 | 1;
  readonly refused: 0;
  readonly from: number;
  readonly to: number;
}

interface Bytes {
  readonly kind: 'bytes';
  /** Undefined where all these publications were filtered out or refused. */
  readonly bytes: Buffer | undefined;
  /** How many publications are in the bytes. */
  readonly items: number;
  /** How many have no bytes for this shape, such as text that is not UTF-8. */
  readonly refused: number;
  readonly from: number;
  readonly to: number;
}

/** The bytes of a publication, or why there are none. */
export type Encoded = Buffer | 'filtered' | 'refused';

type FormatName = Shape['format'];

/** The first part behind `start` that there is for this shape; undefined: no more. */
export function nextPart(
  publications: readonly Publication[],
  start: number,
  shape: Shape,
  encode: (publication: Publication) => Encoded,
): Part | undefined {
  for (let from = start; from < publications.length; from += 1) {
    const publication = publications[from];
    const action = publication?.formats[shape.format]?.action;
    if (publication === undefined || action === undefined) continue;
    if (action === 'send' && shape.joins)
      return joinBytes(publications, from, nextAction(publications, from, shape.format), encode);
    return actionPart(publication, from, shape);
  }
  return undefined;
}

/** Of a shape that does not join, items are handed over like actions. */
export function actionPart(publication: Publication, from: number, shape: Shape): Action {
  const items = contentFiltersFit(publication, shape, noFilters) ? 1 : 0;
  return { kind: 'action', publication, items, refused: 0, from, to: from + 1 };
}

/** Joins from `from` up to `limit`, or until there is enough for one write. */
export function joinBytes(
  publications: readonly Publication[],
  from: number,
  limit: number,
  encode: (publication: Publication) => Encoded,
): Bytes {
  const pieces: Buffer[] = [];
  let total = 0;
  let refused = 0;
  let to = from;
  for (; to < limit && total < limits.joinedBytes; to += 1) {
    const publication = publications[to];
    const piece = publication === undefined ? 'filtered' : encode(publication);
    if (piece === 'refused') refused += 1;
    if (typeof piece === 'string') continue;
    pieces.push(piece);
    total += piece.length;
  }
  const bytes = pieces.length > 1 ? Buffer.concat(pieces, total) : pieces[0];
  return { kind: 'bytes', bytes, items: pieces.length, refused, from, to };
}

function nextAction(publications: readonly Publication[], from: number, format: FormatName): number {
  for (let i = from + 1; i < publications.length; i += 1) {
    const action = publications[i]?.formats[format]?.action;
    if (action !== undefined && action !== 'send') return i;
  }
  return publications.length;
}
