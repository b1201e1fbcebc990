/** WebSockets through express-gateway. */
import { chainSuite } from './chain-suite.ts';
import { startExpressGateway } from './express-gateway.ts';

chainSuite('express-gateway', startExpressGateway);
