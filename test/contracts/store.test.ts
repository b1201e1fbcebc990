/** Runs the contract of stores on the one in memory. */
import { memoryStore } from '../../gateway/engines/memory-store.ts';
import { storeContract } from '../../gateway/testing/store-contract.ts';

storeContract('memory', () => memoryStore());
