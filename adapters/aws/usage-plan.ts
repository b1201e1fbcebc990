/** The usage plan, with the keys that it is for: a CloudFormation template, since the document of an API cannot hold it. */
import { createHash } from 'node:crypto';
import type { GatewayCaller, GatewayLimit, GatewayModel, GatewayRoute, Remark } from '../conversion/gateway-route.ts';
import { present, type Raw } from '../conversion/present.ts';

const day = 86_400;

/** Calendar months have 28 days at least. */
const periods = [
  ['DAY', day],
  ['WEEK', 7 * day],
  ['MONTH', 28 * day],
] as const;

interface Quota {
  readonly Limit: number;
  readonly Period: 'DAY' | 'WEEK' | 'MONTH';
}

/** A token bucket: `BurstLimit` at once, `RateLimit` a second. */
interface Throttle {
  readonly RateLimit: number;
  readonly BurstLimit: number;
}

export function usagePlan(model: GatewayModel): { readonly template: Raw; readonly remarks: readonly Remark[] } {
  const routes = model.routes.filter(({ auth }) => auth.kind === 'key');
  const limits = routes.flatMap((route) => route.limits.map((limit) => ({ route, limit })));
  const throttle = strictest(limits.flatMap(({ limit }) => (limit.windowSeconds < day ? [throttleOf(limit)] : [])));
  const quotas = limits.flatMap(({ limit }) => (limit.windowSeconds >= day ? [quotaOf(limit)] : []));
  return {
    template: template(model.callers, present({ Throttle: throttle, Quota: smallest(quotas) })),
    remarks: [
      ...limits.flatMap(limitRemarks),
      ...sharedRemarks(routes),
      ...quotaRemarks(routes, quotas),
      ...callerRemarks(model.callers),
    ],
  };
}

/** Never more than `count` in the window: half of it at once, the rest spread over it. */
function throttleOf({ count, windowSeconds }: GatewayLimit): Throttle {
  const burst = Math.floor(count / 2);
  return { RateLimit: roundedDown((count - burst) / windowSeconds), BurstLimit: burst };
}

function roundedDown(rate: number): number {
  return Math.floor(rate * 10_000) / 10_000;
}

function strictest(throttles: readonly Throttle[]): Throttle | undefined {
  if (throttles.length === 0) return undefined;
  return {
    RateLimit: Math.min(...throttles.map(({ RateLimit }) => RateLimit)),
    BurstLimit: Math.min(...throttles.map(({ BurstLimit }) => BurstLimit)),
  };
}

function quotaOf({ count, windowSeconds }: GatewayLimit): Quota {
  const [period, seconds] = periods.find(([, length]) => length >= windowSeconds) ?? periods[2];
  return { Limit: Math.floor(count * Math.min(1, seconds / windowSeconds)), Period: period };
}

function smallest(quotas: readonly Quota[]): Quota | undefined {
  return quotas.toSorted((a, b) => a.Limit - b.Limit)[0];
}

function limitRemarks({ route, limit }: { readonly route: GatewayRoute; readonly limit: GatewayLimit }): Remark[] {
  const { count, windowSeconds } = limit;
  const said = `${count} requests in ${windowSeconds} s`;
  if (windowSeconds >= day) return quotaRemark(route, said, limit);
  const { RateLimit, BurstLimit } = throttleOf(limit);
  if (BurstLimit === 0 || RateLimit === 0)
    return [{ about: route.id, verdict: 'refused', text: `allows ${said}, which is too little for a throttle of AWS` }];
  return [{ about: route.id, verdict: 'tightened', text: `allows ${said} as ${BurstLimit} at once and ${RateLimit} a second` }];
}

function quotaRemark({ id }: GatewayRoute, said: string, limit: GatewayLimit): Remark[] {
  const { Limit, Period } = quotaOf(limit);
  if (Limit === 0) return [{ about: id, verdict: 'refused', text: `allows ${said}, which is too little for a quota of AWS` }];
  const isExact = periods.some(([period, seconds]) => period !== 'MONTH' && seconds === limit.windowSeconds);
  return isExact ? [] : [{ about: id, verdict: 'tightened', text: `allows ${said} as ${Limit} in each ${Period}` }];
}

/** A plan counts all that a caller asks of the API. */
function sharedRemarks(routes: readonly GatewayRoute[]): Remark[] {
  if (routes.length < 2 || routes.every(({ limits }) => limits.length === 0)) return [];
  const text = `count together for each caller, by the strictest limits among them: ${routes.map(({ id }) => id).join(', ')}`;
  return [{ about: 'aws', verdict: 'tightened', text }];
}

function quotaRemarks(routes: readonly GatewayRoute[], quotas: readonly Quota[]): Remark[] {
  if (new Set(quotas.map(({ Period }) => Period)).size < 2) return [];
  const about = routes.find(({ limits }) => limits.some(({ windowSeconds }) => windowSeconds >= day))?.id ?? 'aws';
  return [{ about, verdict: 'refused', text: 'leads to quotas of different periods, but a usage plan has one' }];
}

function callerRemarks(callers: readonly GatewayCaller[]): Remark[] {
  if (callers.length === 0)
    return [
      { about: 'aws', verdict: 'told', text: 'the usage plan has no keys yet: a key opens the API once it is in the plan' },
    ];
  return callers.flatMap(({ name, key }): Remark[] => {
    if (key === undefined) return [{ about: name, verdict: 'told', text: 'gets a key that AWS makes' }];
    return /^[\x21-\x7e]{20,128}$/.test(key)
      ? []
      : [{ about: name, verdict: 'refused', text: 'has a key that AWS does not take: it wants 20 to 128 characters' }];
  });
}

function template(callers: readonly GatewayCaller[], limits: Raw): Raw {
  const plan = {
    UsagePlanName: 'foregate',
    Description: 'Made by "foregate export aws".',
    ApiStages: [{ ApiId: { Ref: 'Api' }, Stage: { Ref: 'Stage' } }],
    ...limits,
    Tags: [{ Key: 'made-by', Value: 'foregate' }],
  };
  return {
    AWSTemplateFormatVersion: '2010-09-09',
    Description: 'Made by "foregate export aws": who may use the API, and how often.',
    Parameters: {
      Api: { Type: 'String', Description: 'The id of the REST API that was made from aws-api.json.' },
      Stage: { Type: 'String', Description: 'The stage to which it is deployed.' },
    },
    Resources: {
      UsagePlan: { Type: 'AWS::ApiGateway::UsagePlan', Properties: plan },
      ...Object.fromEntries(callers.flatMap(keyResources)),
    },
  };
}

function keyResources(caller: GatewayCaller): [string, Raw][] {
  const id = resourceId(caller.name);
  const key = present({ Name: caller.name, Enabled: true, Value: caller.key, Tags: [{ Key: 'made-by', Value: 'foregate' }] });
  const membership = { KeyId: { Ref: id }, KeyType: 'API_KEY', UsagePlanId: { Ref: 'UsagePlan' } };
  return [
    [id, { Type: 'AWS::ApiGateway::ApiKey', Properties: key }],
    [`${id}InPlan`, { Type: 'AWS::ApiGateway::UsagePlanKey', Properties: membership }],
  ];
}

/** The same for the same name whoever else there is: a resource under another name would get a new key. */
function resourceId(name: string): string {
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 8);
  return `Key${name.replace(/[^A-Za-z0-9]/g, '')}${hash}`;
}
