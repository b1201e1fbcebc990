/** One call of the control API that Express serves. */
import type { Request, Response } from 'express';
import type { MaybePromise } from '../core/promise.ts';

export interface Operation {
  readonly method: 'get' | 'post';
  /** In the form of Express: `/connections/:id`. */
  readonly path: string;
  /** A JSON body up to this is read; none: the call takes no body. */
  readonly bodyBytes?: number;
  /** May throw a ForegateError: the caller gets its status and message. */
  readonly handle: (request: Request, response: Response) => MaybePromise<void>;
}
