/** The same chat room with the public GRIP libraries, `@fanoutio/serve-grip` and `@fanoutio/grip`: what a backend behind Pushpin has already. */
import { createServer, type Server } from 'node:http';
import { WebSocketMessageFormat, type WebSocketContext } from '@fanoutio/grip';
import { ServeGrip } from '@fanoutio/serve-grip';
import express from 'express';

export interface ChatOptions {
  /** Foregate's control API: `http://127.0.0.1:5561/`. */
  readonly controlUrl: string;
  /** The key of `grip.key`; with it only requests that Foregate has signed are taken. */
  readonly gripKey?: string;
}

export function createBackend({ controlUrl, gripKey }: ChatOptions): Server {
  const serveGrip = new ServeGrip({ grip: { control_uri: controlUrl, ...(gripKey && { verify_key: gripKey }) } });
  const publisher = serveGrip.getPublisher();
  const app = express();
  app.use(serveGrip);
  // oxlint-disable-next-line no-async-endpoint-handlers -- Express 5 hands a rejection to its error handler
  app.post('/chat', async (request, response) => {
    const socket = request.grip?.wsContext;
    if (!socket) return response.status(415).send('This address takes WebSocket events.\n');
    // The middleware does not wait for its own check of the signature (serve-grip 2.0), so it is asked for here.
    const { isSigned } = await publisher.validateGripSig(request.get('grip-sig') ?? null);
    if (gripKey && !isSigned) return response.status(403).send('Not signed by the gateway.\n');

    if (socket.isOpening()) {
      socket.accept();
      socket.subscribe('room');
      socket.meta['name'] = request.get('x-consumer-username') ?? 'guest';
    }
    for (const text of texts(socket)) {
      // oxlint-disable-next-line no-await-in-loop -- messages are published in their order
      await publisher.publishFormats('room', new WebSocketMessageFormat(JSON.stringify({ name: socket.meta['name'], text })));
    }
    return response.end();
  });
  return createServer(app);
}

/** What the client said. `recv()` answers pings on its way, gives null for a close, and throws when nothing is left. */
function* texts(socket: WebSocketContext): Generator<string> {
  for (;;) {
    let text: string | null;
    try {
      text = socket.recv();
    } catch {
      return;
    }
    if (text === null) break;
    yield text;
  }
  socket.close(socket.closeCode ?? 1000);
}

if (process.argv[1] === import.meta.filename) {
  const controlUrl = process.env['CONTROL_URL'] ?? 'http://127.0.0.1:5561/';
  createBackend({ controlUrl, ...(process.env['GRIP_KEY'] && { gripKey: process.env['GRIP_KEY'] }) }).listen(9000, '127.0.0.1');
}
