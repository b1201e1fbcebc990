/** WebSockets and streams through express-gateway. */
import { chainSuite } from './chain-suite.ts';
import { expressGateway } from './express-gateway.ts';

chainSuite(expressGateway);
