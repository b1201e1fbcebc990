/** A chat whose messages are described in chat.openapi.yaml: they are checked before they come here, and have the types of messages.ts. */
import { createServer, type Server } from 'node:http';
import express from 'express';
// An application writes: import { createPublisher, webSocketEvents } from 'foregate/express';
import { createPublisher, webSocketEvents } from '../../gateway/backend/express.ts';
// Written by: foregate types --openapi chat.openapi.yaml --output messages.ts
import type { Operations } from './messages.ts';

type JoinRoom = Operations['joinRoom'];

/** @param controlUrl Foregate's control API: `http://127.0.0.1:5561/` */
export function createBackend(controlUrl: string): Server {
  const publisher = createPublisher<JoinRoom['backend']>(controlUrl);
  const app = express();
  app.use<JoinRoom['path']>('/rooms/:room', (request, response, next) => {
    const channel = `room-${request.params.room}`;
    const events = webSocketEvents<'name', JoinRoom>({
      open: (socket) => socket.subscribe(channel),
      async message(socket, message) {
        const name = socket.meta.get('name') ?? 'guest';
        if (message.type === 'rename') socket.meta.set('name', message.name);
        else if (message.text.startsWith('/')) socket.send({ type: 'error', code: 'no-command' });
        else await publisher.publish(channel, { message: { ...message, type: 'said', name } });
      },
    });
    events(request, response, next);
  });
  return createServer(app);
}

if (process.argv[1] === import.meta.filename)
  createBackend(process.env['CONTROL_URL'] ?? 'http://127.0.0.1:5561/').listen(9000, '127.0.0.1');
