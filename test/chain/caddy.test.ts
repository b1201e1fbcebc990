/** WebSockets and streams through Caddy. */
import { caddy } from './caddy.ts';
import { chainSuite } from './chain-suite.ts';

chainSuite(caddy);
