#include "sesior/runtime/cores.hpp"

#include <algorithm>
#include <fstream>
#include <thread>

namespace sesior::runtime {

namespace {

struct Quota {
  long long of = 0;  // microseconds of CPU a period; 0 or less: not limited
  long long period = 0;
};

Quota ReadQuota(const std::string& cgroups) {
  Quota quota;
  // "200000 100000", or "max 100000", which leaves the quota 0.
  if (std::ifstream v2(cgroups + "/cpu.max"); v2) {
    v2 >> quota.of >> quota.period;
    return quota;
  }
  std::ifstream(cgroups + "/cpu/cpu.cfs_quota_us") >> quota.of;
  std::ifstream(cgroups + "/cpu/cpu.cfs_period_us") >> quota.period;
  return quota;
}

}  // namespace

unsigned UsableCores(const std::string& cgroups) {
  const unsigned allowed = std::max(1U, std::thread::hardware_concurrency());
  const Quota quota = ReadQuota(cgroups);
  if (quota.of <= 0 || quota.period <= 0) return allowed;
  const long long cores = (quota.of + quota.period - 1) / quota.period;
  return static_cast<unsigned>(std::min<long long>(allowed, cores));
}

}  // namespace sesior::runtime
