/** The shares of ticker.openapi.yaml: an ordinary application, which answers at once and publishes what changes. */
import { createServer, type Server } from 'node:http';
import express, { type Response } from 'express';
// An application writes: import { createPublisher } from 'foregate/express';
import { createPublisher } from '../../gateway/backend/express.ts';

export interface Quote {
  readonly type: 'quote';
  readonly symbol: string;
  readonly price: number;
  readonly at: string;
}

export interface Ticker {
  readonly server: Server;
  /** A share changes hands. @throws PublishError where the price is none: Foregate knows the document */
  trade(symbol: string, price: number): Promise<void>;
}

/** @param controlUrl Foregate's control API: `http://127.0.0.1:5561/` */
export function createTicker(controlUrl: string): Ticker {
  const publisher = createPublisher(controlUrl);
  const quotes = new Map<string, Quote>([
    ['ACME', quote('ACME', 12.5)],
    ['GLOBE', quote('GLOBE', 101)],
  ]);
  const app = express();
  app.get('/stocks/:symbol', ({ params: { symbol } }, response) => {
    const last = quotes.get(symbol);
    if (last === undefined) noShare(response);
    else response.json(last);
  });
  // The answer is short; Foregate keeps the stream of the client open, and adds what is published.
  app.get('/stocks/:symbol/quotes', ({ params: { symbol } }, response) => {
    const last = quotes.get(symbol);
    if (last === undefined) noShare(response);
    else
      response
        .type('text/event-stream')
        .set({ 'Grip-Hold': 'stream', 'Grip-Channel': `quotes-${symbol}` })
        .send(event(last));
  });
  return {
    server: createServer(app),
    async trade(symbol, price) {
      const next = quote(symbol, price);
      await publisher.publish(`quotes-${symbol}`, { stream: event(next) });
      quotes.set(symbol, next);
    },
  };
}

function quote(symbol: string, price: number): Quote {
  return { type: 'quote', symbol, price, at: new Date().toISOString() };
}

function event(data: Quote): string {
  return `event: quote\ndata: ${JSON.stringify(data)}\n\n`;
}

function noShare(response: Response): void {
  response.status(404).json({ message: 'There is no such share.' });
}

if (process.argv[1] === import.meta.filename) {
  const ticker = createTicker(process.env['CONTROL_URL'] ?? 'http://127.0.0.1:5561/');
  ticker.server.listen(9000, '127.0.0.1');
  setInterval(() => {
    const price = Math.round(1000 + Math.random() * 500) / 100;
    ticker.trade('ACME', price).catch((error: unknown) => console.error(String(error)));
  }, 1000);
}
