/** A limit as `limit_req` knows it: a bucket that fills at a whole number of requests a second or a minute. */
import type { GatewayLimit } from '../conversion/gateway-route.ts';

export interface Bucket {
  /** `5r/m` */
  readonly rate: string;
  /** Requests beyond the first that are let through at once. */
  readonly burst: number;
  /** Until there is room for one more. */
  readonly retryAfterSeconds: number;
  /** False: the rate is lower than what was asked for. */
  readonly isExact: boolean;
}

/** Undefined: slower than nginx knows. */
export function bucketOf({ count, windowSeconds }: GatewayLimit): Bucket | undefined {
  const burst = count - 1;
  if (count % windowSeconds === 0) return { rate: `${count / windowSeconds}r/s`, burst, retryAfterSeconds: 1, isExact: true };
  const perMinute = Math.floor((count * 60) / windowSeconds);
  if (perMinute === 0) return undefined;
  const isExact = perMinute * windowSeconds === count * 60;
  return { rate: `${perMinute}r/m`, burst, retryAfterSeconds: Math.ceil(60 / perMinute), isExact };
}
