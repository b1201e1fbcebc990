/** For a gateway of which nothing special is known. */
import { adapterOf } from '../gateway.ts';
import { genericFault } from './fault.ts';

export const generic = adapterOf({ name: 'generic', identityHeaders: [], credentialHeader: undefined }, { fault: genericFault });
