/** The part of the configuration that says how publications come to other machines. */
import { Type } from 'typebox';
import { Duration } from './duration.ts';
import { redisPrefix, redisUrl } from './setting-types.ts';

export const BusSchema = Type.Object(
  {
    use: Type.Enum(['local', 'redis'], {
      default: 'local',
      description:
        '`local`: what is published stays in this process. `redis`: all that use the same Redis and `prefix` get it; it needs the package `ioredis`: `npm install ioredis@6`.',
    }),
    url: redisUrl(),
    prefix: redisPrefix(
      'Put before all channels in Redis, those of all databases: one for each group of gateways that share publications.',
    ),
    timeout: Duration({
      default: '2s',
      description:
        'Redis counts as away if what is sent through it does not come back by then. A subscription waits no longer than that for Redis.',
    }),
  },
  {
    default: {},
    description:
      'What carries published items and revocations between processes; see [several machines](operate.md#several-machines). A reload does not change it.',
  },
);
