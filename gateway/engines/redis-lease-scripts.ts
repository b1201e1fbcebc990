/**
 * What Redis does with leases, each time in one go. Processes, keys and holders have names of fixed length there
 * ({@link processName}, `digest`), so that two of them side by side can be parted again.
 *
 * - `processes`: by when each must have said that it lives. Those that have not are moved to `ended`.
 * - `lease:KEY`: who holds the key, as process and holder, by the time of their coming.
 * - `holds:PROCESS`: all that a process holds, as key and holder: what falls with it.
 * - `lost:PROCESS`: what others took from it and it may not have heard of; also the channel by which it is told at once.
 */
import { randomBytes } from 'node:crypto';

/** 22 characters. */
export function processName(): string {
  return randomBytes(16).toString('base64url');
}

/** So much of what an ended process held is given back in one call, since others wait for it meanwhile. */
export const givenBackAtOnce = 1000;

/** What is held, in the form of `holds` and `lost`. */
export function partHeld(text: string): { readonly name: string; readonly id: string } {
  return { name: text.slice(0, 43), id: text.slice(43) };
}

/**
 * For each of several operations: 0, or the time since which the lease is held; and what holders of this process have lost to others
 * of it. Nothing at all where the process is not known (any more). Arguments: prefix, process, then seven for each operation: `lease`,
 * `register` or `release`; `refuse` or `evict`; key; holder; the most holders; for `register` the time since which; the process under
 * which it was registered before, or nothing.
 */
export const leaseScript = `
local prefix, own = ARGV[1], ARGV[2]
if not redis.call('zscore', prefix .. 'processes', own) then return {} end
local time = redis.call('time')
local now = time[1] * 1000000 + time[2]
local since, lost = {}, {}

local function drop(name, process, holder)
  redis.call('srem', prefix .. 'holds:' .. process, name .. holder)
  redis.call('zrem', prefix .. 'lease:' .. name, process .. holder)
end

local function add(name, holder, score)
  redis.call('sadd', prefix .. 'holds:' .. own, name .. holder)
  redis.call('zadd', prefix .. 'lease:' .. name, score, own .. holder)
  return score
end

local function takeFromFirst(name)
  local member = redis.call('zrange', prefix .. 'lease:' .. name, 0, 0)[1]
  local process, holder = string.sub(member, 1, 22), string.sub(member, 23)
  drop(name, process, holder)
  if process == own then
    lost[#lost + 1] = name .. holder
  else
    redis.call('sadd', prefix .. 'lost:' .. process, name .. holder)
    redis.call('publish', prefix .. 'lost:' .. process, name .. holder)
  end
end

local function lease(over, name, holder, most)
  local key = prefix .. 'lease:' .. name
  local score = redis.call('zscore', key, own .. holder)
  if score then return tonumber(score) end
  if over == 'refuse' and redis.call('zcard', key) >= most then return 0 end
  while redis.call('zcard', key) >= most do takeFromFirst(name) end
  now = now + 1
  return add(name, holder, now)
end

local function register(over, name, holder, most, score)
  add(name, holder, score)
  while over == 'evict' and redis.call('zcard', prefix .. 'lease:' .. name) > most do takeFromFirst(name) end
  return score
end

for i = 3, #ARGV, 7 do
  local what, over, name, holder, most, score, before = unpack(ARGV, i, i + 6)
  if before ~= '' and before ~= own then drop(name, before, holder) end
  if what == 'lease' then
    since[#since + 1] = lease(over, name, holder, tonumber(most))
  elseif what == 'register' then
    since[#since + 1] = register(over, name, holder, tonumber(most), tonumber(score))
  else
    drop(name, own, holder)
    since[#since + 1] = 0
  end
end
return {since, lost}
`;

/**
 * A process says that it lives, or ends; and what ended ones held is given back. Answers whether the process was known, whether there
 * is more to give back, and what it has lost. Arguments: prefix, process, `join`, `renew` or `leave`, microseconds until it must have said
 * so again, and how much may be given back.
 */
export const lifeScript = `
local prefix, own, what, life, left = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local processes, ended = prefix .. 'processes', prefix .. 'ended'
local time = redis.call('time')
local now = time[1] * 1000000 + time[2]
local known = redis.call('zscore', processes, own) and 1 or 0

local function finish(process)
  redis.call('zrem', processes, process)
  redis.call('sadd', ended, process)
end

if what == 'leave' then
  finish(own)
elseif what == 'join' or known == 1 then
  redis.call('zadd', processes, now + life, own)
end
for _, process in ipairs(redis.call('zrangebyscore', processes, '-inf', now)) do finish(process) end

local most = left
for _, process in ipairs(redis.call('smembers', ended)) do
  local held = redis.call('spop', prefix .. 'holds:' .. process, left)
  for _, one in ipairs(held) do
    redis.call('zrem', prefix .. 'lease:' .. string.sub(one, 1, 43), process .. string.sub(one, 44))
  end
  left = left - #held
  if left <= 0 then break end
  redis.call('del', prefix .. 'lost:' .. process)
  redis.call('srem', ended, process)
end
return {known, left <= 0 and 1 or 0, redis.call('spop', prefix .. 'lost:' .. own, most)}
`;
