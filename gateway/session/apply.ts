/**
 * Carries out the steps of a reply in their order. What goes to the client is written at once for the whole reply; a
 * subscription that has to be waited for holds up what comes after it.
 */
import { ForegateError } from '../core/errors.ts';
import { isMessage, type Close, type Message } from '../core/event.ts';
import type { GripSocket, Instruction, Membership, Step } from '../core/instruction.ts';
import { isPromise, type MaybePromise } from '../core/promise.ts';
import { readGripMessage } from '../wire/grip-socket.ts';
import { isSendable } from '../wire/websocket-frame.ts';

/** What steps act on. */
export interface StepHost {
  /** GRIP inside the socket, if the backend turned it on. */
  readonly grip: GripSocket | undefined;
  readonly channelPrefix: string;
  sendMessages(messages: readonly Message[]): void;
  subscribe(membership: Membership): MaybePromise<void>;
  instruct(instruction: Exclude<Instruction, { kind: 'subscribe' }>): void;
  closedByBackend(close: Close): void;
  droppedByBackend(): void;
}

/** @throws ForegateError `bad-reply` for text that is not UTF-8 and control frames that are too long; what came before is sent. */
export function applySteps(host: StepHost, steps: readonly Step[], from = 0): MaybePromise<void> {
  const outgoing: Message[] = [];
  for (let i = from; i < steps.length; i += 1) {
    const step = steps[i];
    if (step === undefined) continue;
    const waiting = applyStep(host, step, outgoing);
    if (waiting === undefined) continue;
    flush(host, outgoing);
    return waiting.then(() => applySteps(host, steps, i + 1));
  }
  flush(host, outgoing);
  return undefined;
}

function applyStep(host: StepHost, step: Step, outgoing: Message[]): Promise<void> | undefined {
  if (isMessage(step)) return applyMessage(host, step, outgoing);
  switch (step.kind) {
    case 'close':
      flush(host, outgoing);
      host.closedByBackend(step);
      return undefined;
    case 'disconnect':
      flush(host, outgoing);
      host.droppedByBackend();
      return undefined;
    case 'accept':
      return undefined; // It was answered at the opening, and has no meaning later.
    default:
      return applyInstruction(host, step, outgoing);
  }
}

function applyMessage(host: StepHost, message: Message, outgoing: Message[]): Promise<void> | undefined {
  const read = host.grip === undefined ? message : readGripMessage(message, host.grip, host.channelPrefix);
  if (read === undefined) return undefined;
  if (!isMessage(read)) return applyInstruction(host, read, outgoing);
  const flaw = flawOf(read);
  if (flaw !== undefined) {
    flush(host, outgoing);
    throw new ForegateError('bad-reply', flaw);
  }
  outgoing.push(read);
  return undefined;
}

function applyInstruction(host: StepHost, instruction: Instruction, outgoing: Message[]): Promise<void> | undefined {
  if (instruction.kind === 'subscribe') {
    const waiting = host.subscribe(instruction);
    return isPromise(waiting) ? waiting : undefined;
  }
  if (instruction.kind === 'send-delayed' || instruction.kind === 'flush-delayed') flush(host, outgoing);
  host.instruct(instruction);
  return undefined;
}

/** What is wrong with a message that may not stand on the wire (RFC 6455 sections 5.5 and 8.1). */
function flawOf(message: Message): string | undefined {
  if (isSendable(message)) return undefined;
  return message.kind === 'text'
    ? 'The backend sent text that is not UTF-8.'
    : `The backend sent a ${message.kind} of more than 125 bytes.`;
}

function flush(host: StepHost, outgoing: Message[]): void {
  if (outgoing.length === 0) return;
  host.sendMessages(outgoing.splice(0));
}
