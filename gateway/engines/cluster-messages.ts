/** What workers and the primary say to each other. `call` and `question` are numbers of whoever waits for the answer. */
import type { Notice } from '../core/bus.ts';
import type { ChannelName } from '../core/ids.ts';
import type { Publication } from '../core/publication.ts';
import type { Asked, Question } from '../core/question.ts';
import type { Budget, LeaseTerms, Taken } from '../core/store.ts';

/** What has an answer, and its type. */
export interface Calls {
  /** From now on it hears of everything; of a `collector`, also which channels any worker wants. */
  join: { readonly message: { readonly collector: boolean }; readonly reply: undefined };
  publish: { readonly message: { readonly publication: Publication }; readonly reply: undefined };
  want: { readonly message: { readonly channel: ChannelName; readonly wanted: boolean }; readonly reply: undefined };
  take: {
    readonly message: { readonly key: string; readonly budget: Budget; readonly cost: number };
    readonly reply: Taken;
  };
  lease: {
    readonly message: { readonly key: string; readonly holder: string; readonly terms: LeaseTerms };
    readonly reply: boolean;
  };
  ask: { readonly message: { readonly question: Question }; readonly reply: Asked<unknown> };
}

export type CallKind = keyof Calls;

export type Call = { [Kind in CallKind]: { readonly kind: Kind; readonly call: number } & Calls[Kind]['message'] }[CallKind];

export type ToPrimary =
  | Call
  | { readonly kind: 'tell'; readonly notice: Notice }
  | { readonly kind: 'release'; readonly key: string; readonly holder: string }
  /** `failed`: it could not be done. */
  | { readonly kind: 'answer'; readonly question: number; readonly answer?: unknown; readonly failed?: true };

export type ToWorker =
  | { readonly kind: 'reply'; readonly call: number; readonly value: Calls[CallKind]['reply'] }
  | { readonly kind: 'deliver'; readonly publication: Publication }
  | { readonly kind: 'notice'; readonly notice: Notice }
  | { readonly kind: 'lost'; readonly key: string; readonly holder: string }
  | { readonly kind: 'question'; readonly question: number; readonly asked: Question }
  /** Some worker wants it, or none any more. */
  | { readonly kind: 'wanted'; readonly channel: ChannelName; readonly wanted: boolean }
  /** All workers are up. */
  | { readonly kind: 'complete' };

/** Messages in their order: what one turn of the event loop brought goes together. */
export type Frame<Message> = readonly Message[];

/** Frames stand beside other messages of the same two processes. */
export function isFrame(message: unknown): message is Frame<never> {
  return Array.isArray(message);
}
