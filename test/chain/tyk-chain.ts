/** WebSockets and streams through Tyk, by `npm run chain:tyk`: building it takes too long for every run of the tests. */
import { chainSuite } from './chain-suite.ts';
import { tyk } from './tyk.ts';

chainSuite(tyk);
