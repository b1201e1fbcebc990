/** What holds through every gateway; what one cannot do stands in the name of its suite. */
import type { GatewayKind } from './chain-gateway.ts';
import { startChain, stopChain, type Chain } from './chain.ts';
import { installGateways, installTimeoutMs } from './gateways.ts';
import { limitCases } from './limit-cases.ts';
import { passageCases } from './passage-cases.ts';
import { refusalCases } from './refusal-cases.ts';
import { restartCases } from './restart-cases.ts';

const awayMsDefault = 1000;

/** Runs the suite for one gateway; `more` adds what only this gateway can show. `awayMs`: so long it is away when it is restarted. */
export function chainSuite(kind: GatewayKind, more: (chain: () => Chain) => void = () => {}, awayMs = awayMsDefault): void {
  const lacks = kind.lacks.length === 0 ? '' : ` (it has ${kind.lacks.join(', ')})`;

  describe(`through ${kind.name}${lacks}`, () => {
    let running: Chain;
    const chain = (): Chain => running;

    before(async function () {
      this.timeout(installTimeoutMs);
      await installGateways();
      running = await startChain(kind);
    });
    after(() => stopChain(running));

    refusalCases(kind, chain);
    if (kind.exhausted) limitCases(chain);
    passageCases(chain);
    restartCases(chain, awayMs);
    more(chain);
  });
}
