/** Values that may have to be waited for. Hot paths stay synchronous when nothing has to be. */
export type MaybePromise<T> = T | Promise<T>;

export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return value instanceof Promise;
}
