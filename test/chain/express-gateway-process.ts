/** Started as a process of its own by `express-gateway.ts`, with the folder of its settings as the argument. */
import { requireGateway } from './gateways.ts';

interface ExpressGateway {
  load(folder: string): { run(): unknown };
}

const makeGateway = requireGateway('express-gateway') as () => ExpressGateway; // It has no types.
makeGateway()
  .load(process.argv[2] ?? '.')
  .run();
