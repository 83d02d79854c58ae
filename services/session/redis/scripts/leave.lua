-- ARGV sid, now, replid, replica, namespace.
return leave(ARGV[5], ARGV[1], ARGV[4], ARGV[3], ARGV[2]) and 1 or 0
