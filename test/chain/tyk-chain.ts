/** WebSockets and streams through Tyk, by `npm run chain:tyk`: no registry that the tests use has this gateway. */
import { chainSuite } from './chain-suite.ts';
import { tyk } from './tyk.ts';

chainSuite(tyk);
