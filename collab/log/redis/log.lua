-- A document's log in Redis. One script, so that what belongs together is one step.
--
-- The stream has an entry for each push, under the number of its last revision: `1-<revision>`, with
-- the mark after it (m) and the push itself (e). The first may be a base without a push: where the
-- stream was begun. The last is never trimmed away. `run` in the state names the run of Redis under
-- which the stream was found whole: under another one it may have lost its end.
local log, state, offers, lease, channel = unpack(KEYS)

local LOG_EXPIRES_S = 3600 -- when all is saved and nobody looks any more
local OFFERS_EXPIRE_S = 60
local READ_BYTES = 1024 * 1024 -- what one reading takes, about: others wait for it
local READ_PAGE = 50

local function revision_of(id) return string.sub(id, 3) end

local function number(n) return string.format('%.0f', n) end

local function mark_of(entry)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'm' then return entry[2][i + 1] end
  end
end

local function push_of(entry)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'e' then return entry[2][i + 1] end
  end
end

-- Revision and mark where the stream ends; nothing where there is none.
local function last()
  local found = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if found then return revision_of(found[1]), mark_of(found) end
end

local function holds(revision, mark)
  local id = '1-' .. revision
  local found = redis.call('XRANGE', log, id, id)[1]
  return found and mark_of(found) == mark
end

local function run() return redis.call('HGET', state, 'run') or '' end

local function keep()
  redis.call('PERSIST', log)
  redis.call('PERSIST', state)
end

local function expire()
  redis.call('EXPIRE', log, LOG_EXPIRES_S)
  redis.call('EXPIRE', state, LOG_EXPIRES_S)
end

-- Nothing says once more that all is saved where nothing was left to save.
local function keep_what_is_not_saved()
  if redis.call('HGET', state, 'saved') == last() then expire() else keep() end
end

local function add(before, revision, mark, push)
  redis.call('XADD', log, '1-' .. revision, 'm', mark, 'e', push)
  redis.call('SPUBLISH', channel, 'e' .. before .. ' ' .. revision .. ' ' .. mark .. ' ' .. push)
end

local op = {}

-- Order a push that takes `count` revisions, for a server that has heard the order up to a revision.
-- {'ordered', the end before, the revision it ends at, the mark there}; {'unwhole'} where nothing is
-- written, since the stream is not known to be whole, or is not the one that the server has heard.
function op.append(of_run, revision, mark, count, push)
  local before, before_mark = last()
  if run() ~= of_run or not before then return {'unwhole'} end
  if revision == before then
    if mark ~= before_mark then return {'unwhole'} end
  elseif not holds(revision, mark) then
    return {'unwhole'}
  end
  local after = number(tonumber(before) + tonumber(count))
  local after_mark = redis.sha1hex(before_mark .. push)
  add(before, after, after_mark, push) -- first: a Redis that is full refuses the first write only
  keep()
  return {'ordered', before, after, after_mark}
end

-- What follows a revision, about `count` pushes at most, and how things stand:
-- {run, how far it is saved, end, mark there, whether the stream has that revision with that mark,
--  {{revision, mark, push}, …}}; run, saved, end and mark are '' where there are none.
function op.read(revision, mark, count)
  local after, after_mark = last()
  local saved = redis.call('HGET', state, 'saved') or ''
  local pushes = {}
  local held = after and holds(revision, mark)
  if held then
    local at, size = revision, 0
    while at ~= after and #pushes < tonumber(count) and size < READ_BYTES do
      for _, entry in ipairs(redis.call('XRANGE', log, '(1-' .. at, '+', 'COUNT', READ_PAGE)) do
        at = revision_of(entry[1])
        pushes[#pushes + 1] = {at, mark_of(entry), push_of(entry)}
        size = size + #pushes[#pushes][3]
      end
    end
  end
  if redis.call('TTL', log) > 0 then expire() end
  return {run(), saved, after or '', after_mark or '', held and 1 or 0, pushes}
end

-- Begin a stream where the database ends, unless there is one, or servers offer what they have of
-- one that is lost. {'seeded'}, or {'offered'}.
function op.seed(of_run, revision, mark)
  local offered = redis.call('HGET', offers, 'run') == of_run
  if offered or redis.call('EXISTS', log) == 1 then return {'offered'} end
  redis.call('XADD', log, '1-' .. revision, 'm', mark)
  redis.call('HSET', state, 'run', of_run, 'saved', revision)
  expire()
  return {'seeded'}
end

-- Say how far a server has the document, while Redis is not known to have it whole. The first one
-- begins a time of grace; after it, whoever offers most has the turn to put back what is missing.
-- {'whole'}, {'wait', for so many ms}, or {'turn'}. Who stops offering loses the turn.
function op.offer(of_run, server, revision, grace_ms, fresh_ms)
  if run() == of_run and redis.call('EXISTS', log) == 1 then return {'whole'} end
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  if redis.call('HGET', offers, 'run') ~= of_run then
    redis.call('DEL', offers)
    redis.call('HSET', offers, 'run', of_run, 'until', number(now + tonumber(grace_ms)))
  end
  redis.call('HSET', offers, ':' .. server, number(now) .. ' ' .. revision)
  redis.call('EXPIRE', offers, OFFERS_EXPIRE_S)
  local left = tonumber(redis.call('HGET', offers, 'until')) - now
  if left > 0 then return {'wait', left} end
  local best, most = server, tonumber(revision)
  local all = redis.call('HGETALL', offers)
  for i = 1, #all, 2 do
    local at, offered = string.match(all[i + 1], '^(%d+) (%d+)$')
    if string.sub(all[i], 1, 1) == ':' and now - tonumber(at) <= tonumber(fresh_ms) then
      local name = string.sub(all[i], 2)
      offered = tonumber(offered)
      if offered > most or offered == most and name < best then best, most = name, offered end
    end
  end
  if best == server then return {'turn'} end
  return {'wait', tonumber(fresh_ms)}
end

-- Put pushes back that the stream lost: after its end, or after a new beginning that replaces it.
-- `end_revision` and `end_mark` are where the server found its end, '' where there was no stream:
-- if it is elsewhere by now, nothing is written. The last call of several makes it whole.
-- {'restored'}, or {'moved'}.
function op.restore(of_run, how, end_revision, end_mark, revision, mark, whole, ...)
  local found, found_mark = last()
  if (found or '') ~= end_revision or (found_mark or '') ~= end_mark then return {'moved'} end
  if how == 'replace' then
    redis.call('DEL', log, state)
    redis.call('XADD', log, '1-' .. revision, 'm', mark)
    redis.call('HSET', state, 'saved', revision)
  end
  local pushes = {...}
  local before = revision
  for i = 1, #pushes, 3 do
    add(before, pushes[i], pushes[i + 1], pushes[i + 2])
    before = pushes[i]
  end
  keep_what_is_not_saved()
  if whole == '1' then
    redis.call('HSET', state, 'run', of_run)
    redis.call('DEL', offers)
  end
  return {'restored'}
end

-- Everything up to a revision is in the database: tell all, and trim what lies more than `window`
-- behind. {'saved'}. The mark says of which history: of another one than this, nothing is saved.
function op.saved(revision, mark, window)
  local found = last()
  if not found or not holds(revision, mark) then return {'saved'} end
  local known = tonumber(redis.call('HGET', state, 'saved') or '-1')
  if tonumber(revision) > known then
    redis.call('HSET', state, 'saved', revision)
    local first = math.min(tonumber(revision), tonumber(found)) - tonumber(window)
    if first > 0 then redis.call('XTRIM', log, 'MINID', '~', '1-' .. number(first)) end
    redis.call('SPUBLISH', channel, 's' .. revision .. ' ' .. mark)
  end
  if tonumber(revision) >= tonumber(found) then expire() end
  return {'saved'}
end

-- The caller is about to stop following: if all is saved and nobody else follows, keep the last
-- entry only. Who follows and lags may need the others.
function op.rest()
  local found = last()
  local followers = redis.call('PUBSUB', 'SHARDNUMSUB', channel)[2]
  if found and redis.call('HGET', state, 'saved') == found and followers <= 1 then
    redis.call('XTRIM', log, 'MINID', '1-' .. found)
  end
  return {'rested'}
end

-- Ask to be the one server that saves, for so long. {1 if it is, ms until it has to ask again}.
function op.lead(server, ttl_ms)
  local holder = redis.call('GET', lease)
  if holder and holder ~= server then return {0, redis.call('PTTL', lease)} end
  redis.call('SET', lease, server, 'PX', ttl_ms)
  return {1, tonumber(ttl_ms)}
end

function op.yield(server)
  if redis.call('GET', lease) == server then redis.call('DEL', lease) end
  return {'yielded'}
end

-- {1} if something is not saved and no server has undertaken to save it, else {0}.
function op.forsaken()
  local found = last()
  if not found or redis.call('HGET', state, 'saved') == found then return {0} end
  return {1 - redis.call('EXISTS', lease)}
end

-- Say something to all servers that follow the document.
function op.tell(message)
  return {redis.call('SPUBLISH', channel, 'm' .. message)}
end

-- The document is deleted.
function op.remove()
  redis.call('DEL', log, state, offers, lease)
  redis.call('SPUBLISH', channel, 'd')
  return {'removed'}
end

-- Who may do what with the document has changed in the database.
function op.access()
  redis.call('SPUBLISH', channel, 'a')
  return {'told'}
end

return op[ARGV[1]](unpack(ARGV, 2))
