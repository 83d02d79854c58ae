-- ARGV replica. The lease ends in the past: the next sweep takes the entries, whatever its length was.
if call('ZSCORE', 'sesior:lease', ARGV[1]) then
  call('ZADD', 'sesior:lease', 0, ARGV[1])
  call('HSET', 'sesior:peer', ARGV[1], '0 - ')
end
return 1
