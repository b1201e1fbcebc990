/** WebSockets through Apigee's microgateway. */
import { chainSuite } from './chain-suite.ts';
import { startMicrogateway } from './microgateway.ts';

chainSuite('microgateway', startMicrogateway);
