/** All chapters, in the order of the protocol. */
import type { Chapter } from './case.ts';
import { websocketOverHttp } from './chapter-2-websocket-over-http.ts';
import { gripInWebsockets } from './chapter-3-grip-in-websockets.ts';
import { holds } from './chapter-4-holds.ts';

export const chapters: readonly Chapter[] = [websocketOverHttp, gripInWebsockets, holds];
