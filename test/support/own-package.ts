/**
 * `foregate/policy` and the other entries of this package, as whoever has installed it writes them: tests of the examples import
 * them, and so do the examples. Here they lead to the sources, so that nothing has to be built. The compiler is told in tsconfig.json.
 */
import { registerHooks } from 'node:module';
import tsconfig from '../../tsconfig.json' with { type: 'json' };

const entries: Readonly<Record<string, readonly string[] | undefined>> = tsconfig.compilerOptions.paths;

registerHooks({
  resolve(specifier, context, next) {
    const [source] = entries[specifier] ?? [];
    return source === undefined ? next(specifier, context) : next(new URL(`../../${source}`, import.meta.url).href, context);
  },
});
