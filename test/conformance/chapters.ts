/** All chapters, in the order of the protocol. */
import type { Chapter } from './case.ts';
import { websocketOverHttp } from './chapter-2-websocket-over-http.ts';
import { gripInWebsockets } from './chapter-3-grip-in-websockets.ts';
import { holds } from './chapter-4-holds.ts';
import { filters } from './chapter-5-filters.ts';
import { publishing } from './chapter-6-publishing.ts';
import { routes } from './chapter-7-routes.ts';
import { forwarding } from './chapter-8-forwarding.ts';

export const chapters: readonly Chapter[] = [websocketOverHttp, gripInWebsockets, holds, filters, publishing, routes, forwarding];
