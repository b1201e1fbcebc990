/** The one place where an answer can be changed whoever writes it: in the moment its head is written. All our heads are flat lists. */
import type { ServerResponse } from 'node:http';
import type { HeaderDraft, HeaderList } from '../core/headers.ts';

/** Lets `change` make the fields of the head; of several the last one comes first. */
export function beforeHead(response: ServerResponse, change: (headers: HeaderList) => HeaderDraft): void {
  const writeHead = response.writeHead.bind(response);
  response.writeHead = (status: number, ...rest: unknown[]): ServerResponse => {
    const reason = rest.find((argument) => typeof argument === 'string') ?? '';
    const headers = rest.find((argument): argument is string[] => Array.isArray(argument)) ?? [];
    return writeHead(status, reason, change(headers));
  };
}
