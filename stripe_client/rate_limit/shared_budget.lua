-- One budget of requests for all workers, in one atomic step. The story is told in budget.py; here is the arithmetic.
--
--   take  tenant urgency count process base ...   KEYS: processes, buckets, then for each bucket: state, active, tenant
--   cut   base                                    KEYS: state
--
-- Times are seconds of the server's clock since 1.7e9, so that their text keeps the microseconds.

local BURST_SECONDS = 0.4       -- of the rate, at least MIN_BURST: Stripe's own buckets hold about a second's worth
local MIN_BURST = 5
local ACTIVE_SECONDS = 3        -- who asked within these shares
local MEASURED_SECONDS = 3      -- time constant of the measured use
local RECOVERY_SECONDS = 6      -- from half of the rate back to the rate that was too much
local CUT_EVERY_SECONDS = 1     -- one burst of 429s is one event
local LONGEST_SLOT_SECONDS = 120
local FIRST_SHARE = 0.75        -- of the rate that may go before all others; the rest of it queues like them
-- How far down an asker may draw a bucket, in parts of its burst: what lies below is kept for those who go before.
local FLOOR = {first = 0, first_beyond = 0.1, share = 0.25, beyond = 0.5, last = 0.6}

local clock = redis.call('TIME')
local now = clock[1] - 1700000000 + clock[2] / 1e6

local function learned(base, cut_rate, cut_at)
    if not cut_rate then return base end
    local x = (now - cut_at) / RECOVERY_SECONDS - 1
    return math.min(base, math.max(1, base / 10, cut_rate * (1 + 0.5 * x * x * x)))
end

local function clamp(value, low, high) return math.max(low, math.min(high, value)) end

local function open(place, base, tenant, urgency)
    local b = {state = KEYS[place], active = KEYS[place + 1], mine = KEYS[place + 2], base = base}
    local s = redis.call('HMGET', b.state, 'tokens', 'at', 'cut_rate', 'cut_at', 'virtual', 'first', 'used')
    local past = math.max(0, now - (tonumber(s[2]) or now))
    b.is_new = not s[2]
    b.rate = learned(base, tonumber(s[3]), tonumber(s[4]))
    local burst = math.max(MIN_BURST, b.rate * BURST_SECONDS)
    b.tokens = math.min(burst, (tonumber(s[1]) or burst / 2) + past * b.rate)
    b.first = math.min(burst, (tonumber(s[6]) or burst) + past * b.rate * FIRST_SHARE)
    b.used = (tonumber(s[7]) or 0) * math.exp(-past / MEASURED_SECONDS)

    redis.call('ZREMRANGEBYSCORE', b.active, '-inf', now - ACTIVE_SECONDS)
    redis.call('ZADD', b.active, now, tenant)
    b.sharers = redis.call('ZCARD', b.active)

    -- Virtual time goes on by one fair share of what flows in; a tenant's own by what it takes. Who is behind has share
    -- left, who is ahead borrows. Neither is remembered beyond a burst.
    local m = redis.call('HMGET', b.mine, 'virtual', 'used', 'at', urgency == 'first' and 'first_slot' or 'slot')
    local most = math.max(1, burst / 2 / b.sharers)
    b.virtual = (tonumber(s[5]) or 0) + past * b.rate / b.sharers
    b.taken = clamp(tonumber(m[1]) or 0, b.virtual - most, b.virtual + most)
    b.share = b.sharers == 1 and math.huge or b.virtual - b.taken
    b.my_used = (tonumber(m[2]) or 0) * math.exp(-math.max(0, now - (tonumber(m[3]) or now)) / MEASURED_SECONDS)
    b.slot = math.min(tonumber(m[4]) or 0, now + LONGEST_SLOT_SECONDS)

    local within = b.share >= 1
    b.goes_first = urgency == 'first' and b.first >= 1
    local word = b.goes_first and (within and 'first' or 'first_beyond')
        or urgency == 'last' and 'last' or within and 'share' or 'beyond'
    b.spare = math.floor(b.tokens - FLOOR[word] * burst)
    if within then b.spare = math.min(b.spare, math.floor(math.min(b.share, 1e6))) end
    b.wait = math.max(0, FLOOR[word] * burst + 1 - b.tokens) / b.rate
    if word == 'beyond' then  -- or until the next token of its own share, if that is sooner
        local own = math.max((1 - b.share) * b.sharers, FLOOR.share * burst + 1 - b.tokens) / b.rate
        b.wait = math.min(b.wait, own)
    end
    return b
end

local function grant(b, count)
    redis.call('HSET', b.state, 'tokens', b.tokens - count, 'at', now, 'virtual', b.virtual, 'used', b.used + count,
        'first', b.goes_first and b.first - count or b.first, 'base', b.base)
    redis.call('EXPIRE', b.state, 86400)
    redis.call('EXPIRE', b.active, 60)
    redis.call('HSET', b.mine, 'virtual', b.taken + count, 'used', b.my_used + count, 'at', now)
    redis.call('EXPIRE', b.mine, 120)
end

-- Each refused asker is told a time of its own, one after the other at the pace that is left for its tenant. While a rate
-- is cut, at the pace of the whole rate: it will have come back, and who comes too early is told another time.
local function refuse(b, urgency)
    local pace = math.max(b.base / b.sharers, b.base - (b.used - b.my_used) / MEASURED_SECONDS)
    local slot = math.max(now + b.wait, b.slot + 1 / pace)
    redis.call('HSET', b.mine, urgency == 'first' and 'first_slot' or 'slot', slot)
    redis.call('EXPIRE', b.mine, 120)
    return slot - now
end

local function take(tenant, urgency, count, process)
    local processes = 0
    if process ~= '' then
        redis.call('ZADD', KEYS[1], now, process)
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 30)
        redis.call('EXPIRE', KEYS[1], 60)
        processes = redis.call('ZCARD', KEYS[1])
    end
    local buckets = {}
    for place = 3, #KEYS, 3 do
        local b = open(place, tonumber(ARGV[6 + (place - 3) / 3]), tenant, urgency)
        if b.is_new then  -- written down also when nothing is granted, or it would never fill
            redis.call('SADD', KEYS[2], b.state)
            redis.call('HSET', b.state, 'tokens', b.tokens, 'at', now, 'base', b.base)
            redis.call('EXPIRE', b.state, 86400)
        end
        buckets[#buckets + 1] = b
        count = math.min(count, b.spare)
    end
    local told = 0
    for _, b in ipairs(buckets) do
        if count >= 1 then
            grant(b, count)
        elseif b.spare < 1 then
            told = math.max(told, refuse(b, urgency))
        end
    end
    return {math.max(0, count), math.ceil(told * 1000), processes}
end

-- Too much: half of what was measured to flow, or of what was allowed, whichever is less.
local function cut(base)
    local s = redis.call('HMGET', KEYS[1], 'cut_rate', 'cut_at', 'used', 'at')
    redis.call('HINCRBY', KEYS[1], 'limited', 1)
    redis.call('EXPIRE', KEYS[1], 86400)
    if s[2] and now - tonumber(s[2]) < CUT_EVERY_SECONDS then return 0 end
    local flowing = 0
    if s[3] then
        flowing = tonumber(s[3]) * math.exp(-math.max(0, now - tonumber(s[4])) / MEASURED_SECONDS) / MEASURED_SECONDS
    end
    local rate = math.min(learned(base, tonumber(s[1]), tonumber(s[2])), math.max(4, 2 * flowing))
    redis.call('HSET', KEYS[1], 'cut_rate', rate, 'cut_at', now, 'tokens', 0, 'at', now, 'base', base)
    return 1
end

if ARGV[1] == 'take' then
    return take(ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5])
end
return cut(tonumber(ARGV[2]))
