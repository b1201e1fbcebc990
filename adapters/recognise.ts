/** Signs of a gateway in the header fields of its answers. Only what fits a pattern is passed on: the rest could be anything. */
import type { Reply } from '../gateway/core/exchange.ts';
import type { Recognised } from '../gateway/core/gateway-facts.ts';
import { headerValues } from '../gateway/core/headers.ts';

/** A field in lower case, and what in its value shows the gateway; the first group is the version. */
export type FieldSign = readonly [lowerName: string, shows: RegExp];

/** The first sign that gives a version counts, else the first one. */
export function byFields(signs: readonly FieldSign[]): (reply: Reply) => Recognised | undefined {
  return ({ headers }) => {
    const found = signs.flatMap(([name, shows]) =>
      headerValues(headers, name).flatMap((value): Recognised[] => {
        const match = shows.exec(value);
        return match === null ? [] : [{ version: match[1], by: `its field ${shown(name)}` }];
      }),
    );
    return found.find(({ version }) => version !== undefined) ?? found[0];
  };
}

/** A product in `Server` or `Via`, with or without its version: `kong/3.4.2`. */
export function product(name: string): RegExp {
  return new RegExp(`(?:^|[\\s,])${name}(?:/([\\w.+-]{1,40}))?(?=$|[\\s,(])`, 'i');
}

function shown(lowerName: string): string {
  return lowerName.replaceAll(/(?<=^|-)[a-z]/g, (letter) => letter.toUpperCase());
}
