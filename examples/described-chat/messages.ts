/** Types of the messages in chat.openapi.yaml, written by "foregate types": changes here are lost. */

export type Name = string;

export interface Operations {
  /**
   * Joins a room.
   *
   * A WebSocket for as long as the client stays. Whoever says something is heard by all in the room.
   */
  joinRoom: {
    client: Say | Rename;
    backend: Said | Problem;
    path: {
      room: string;
    };
  };
}
/**
 * Says something to all in the room.
 */
export interface Say {
  type: 'say';
  text: string;
  quotes?: Quote;
}
export interface Quote {
  name: Name;
  text: string;
  quotes?: Quote;
}
/**
 * Takes another name.
 */
export interface Rename {
  type: 'rename';
  name: Name;
}
/**
 * Somebody in the room said something.
 */
export interface Said {
  type: 'said';
  name: Name;
  text: string;
  quotes?: Quote;
}
/**
 * The last message was of no use.
 */
export interface Problem {
  type: 'error';
  code: string;
  detail?: string;
}
