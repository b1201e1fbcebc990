/** How the command ends when something is wrong: 2 for a configuration, 1 for all else; one plain message, no stack. */
import { ConfigError } from '../gateway/core/problem.ts';

/** Says what is wrong on standard error and sets the exit code. */
export function exitWith(error: unknown): void {
  console.error(messageOf(error));
  process.exitCode = codeOf(error);
}

export function codeOf(error: unknown): number {
  if (error instanceof WorkerError) return error.exitCode;
  return error instanceof ConfigError ? 2 : 1;
}

/** What a worker could not do, in its words. */
export class WorkerError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** A sentence for people: a port in use is told with what to do about it. */
export function messageOf(error: unknown): string {
  const fault = systemFault(error);
  if (fault?.code === 'EADDRINUSE' && fault.port !== '')
    return `Port ${fault.port} of ${fault.address} is in use. Stop what listens there, or take any free port with --port 0.`;
  if (fault?.code === 'EACCES' && fault.port === '' && fault.address !== '')
    return `The socket ${fault.address} cannot be made: its folder is not there, or this user may not write to it.`;
  if (fault?.code === 'EACCES' && fault.port !== '')
    return `Port ${fault.port} of ${fault.address} may not be used by this user; ports from 1024 on may.`;
  if (fault?.code === 'EADDRNOTAVAIL') return `The address ${fault.address} is not one of this machine.`;
  return error instanceof Error ? error.message : String(error);
}

interface SystemFault {
  readonly code: string;
  readonly address: string;
  readonly port: string;
}

/** The error of the operating system, under whatever was put around it. */
function systemFault(error: unknown): SystemFault | undefined {
  if (!(error instanceof Error)) return undefined;
  if (!('syscall' in error)) return systemFault(error.cause);
  // The shape of Node's system errors (errors.md, "Class: SystemError").
  const {
    code = '',
    address = '',
    port = '',
  } = error as { readonly code?: string; readonly address?: string; readonly port?: number | '' };
  return { code, address, port: port === -1 ? '' : String(port) }; // -1: of a Unix socket.
}
