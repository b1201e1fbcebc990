/** WebSockets and streams through HAProxy. */
import { chainSuite } from './chain-suite.ts';
import { haproxy } from './haproxy.ts';

chainSuite(haproxy);
