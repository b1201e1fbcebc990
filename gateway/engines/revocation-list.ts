/** The revocations that a process knows: bounded, and never forgotten before their time to make room for others. */
import type { Clock } from '../core/clock.ts';
import { ForegateError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { isRevokedBy, type Revocation, type Revocations } from '../core/revocation.ts';
import type { Identity } from '../core/session.ts';

export class RevocationList implements Revocations {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #list = new Map<string, Revocation>();

  /** `max`: of what is remembered at a time. */
  constructor(clock: Clock, max: number = limits.revocations) {
    this.#clock = clock;
    this.#max = max;
  }

  /** A second one of the same only adds. @throws ForegateError `overloaded` when no more can be remembered */
  add(revocation: Revocation): void {
    const key = keyOf(revocation.of, revocation.value);
    const known = this.#list.get(key);
    if (known === undefined && this.#list.size >= this.#max) this.#dropEnded();
    if (known === undefined && this.#list.size >= this.#max)
      throw new ForegateError('overloaded', 'Too many revocations are remembered; give shorter times, or change keys.');
    this.#list.set(key, known === undefined ? revocation : later(known, revocation));
  }

  /** Whether adding it would change nothing. */
  has({ of, value, issuedBefore, until }: Revocation): boolean {
    const known = this.#list.get(keyOf(of, value));
    return known !== undefined && known.issuedBefore >= issuedBefore && known.until >= until;
  }

  /** Those that hold. */
  *all(): Iterable<Revocation> {
    const now = this.#clock.now();
    for (const revocation of this.#list.values()) if (revocation.until > now) yield revocation;
  }

  covers(identity: Identity): boolean {
    if (this.#list.size === 0) return false;
    const { subject, claims } = identity;
    const jti = claims?.['jti'];
    return (
      this.#holds('subject', subject, identity) ||
      this.#holds('key', subject, identity) ||
      (typeof jti === 'string' && this.#holds('jti', jti, identity))
    );
  }

  #holds(of: Revocation['of'], value: string, identity: Identity): boolean {
    const revocation = this.#list.get(keyOf(of, value));
    return revocation !== undefined && revocation.until > this.#clock.now() && isRevokedBy(revocation, identity);
  }

  #dropEnded(): void {
    const now = this.#clock.now();
    for (const [key, { until }] of this.#list) if (until <= now) this.#list.delete(key);
  }
}

function keyOf(of: Revocation['of'], value: string): string {
  return `${of}:${value}`;
}

function later(one: Revocation, two: Revocation): Revocation {
  return { ...two, issuedBefore: Math.max(one.issuedBefore, two.issuedBefore), until: Math.max(one.until, two.until) };
}
