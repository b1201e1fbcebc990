/** A chat room behind Foregate, with the handlers of `foregate/express`. The other two files here do the same without it. */
import { createServer, type Server } from 'node:http';
import express from 'express';
// An application writes: import { createPublisher, webSocketEvents } from 'foregate/express';
import { createPublisher, webSocketEvents } from '../../gateway/backend/express.ts';

export interface ChatOptions {
  /** Foregate's control API: `http://127.0.0.1:5561/`. */
  readonly controlUrl: string;
  /** The key of `grip.key`; with it only requests that Foregate has signed are taken. */
  readonly gripKey?: string;
}

export function createBackend({ controlUrl, gripKey }: ChatOptions): Server {
  const publisher = createPublisher(controlUrl);
  const app = express();
  app.use(
    '/chat',
    webSocketEvents<'name'>(
      {
        open(socket) {
          socket.meta.set('name', socket.request.headers['x-consumer-username']?.toString() ?? 'guest');
          socket.subscribe('room');
        },
        async text(socket, text) {
          await publisher.publish('room', { message: JSON.stringify({ name: socket.meta.get('name'), text }) });
        },
      },
      gripKey === undefined ? {} : { signature: { key: gripKey } },
    ),
  );
  return createServer(app);
}

if (process.argv[1] === import.meta.filename) {
  const controlUrl = process.env['CONTROL_URL'] ?? 'http://127.0.0.1:5561/';
  createBackend({ controlUrl, ...(process.env['GRIP_KEY'] && { gripKey: process.env['GRIP_KEY'] }) }).listen(9000, '127.0.0.1');
}
