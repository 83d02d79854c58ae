// How many cores this process may use, for the default number of its threads: what its affinity allows, or less where
// its control group has a CPU limit. A pod limited to two cores of a node with 64 should not have 64 threads.
#pragma once

#include <string>

namespace sesior::runtime {

// At least 1; half a core counts as one. `cgroups`: where the process sees its own control group, in version 2
// (cpu.max) or 1 (cpu/cpu.cfs_quota_us); what cannot be read is no limit.
unsigned UsableCores(const std::string& cgroups = "/sys/fs/cgroup");

}  // namespace sesior::runtime
