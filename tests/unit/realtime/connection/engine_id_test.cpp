#include "services/realtime/connection/engine_id.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sesior::realtime {
namespace {

TEST(EngineId, ReadsWhatItWrites) {
  const EngineId id = EngineId::Generate("rt-1", 3);
  const std::optional<EngineId> read = EngineId::Parse(id.ToText());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->replica, "rt-1");
  EXPECT_EQ(read->thread, 3u);
  EXPECT_EQ(read->key, id.key);
  EXPECT_NE(EngineId::Generate("rt-1", 3).key, id.key);
}

TEST(EngineId, RefusesWhatItCouldNotHaveWritten) {
  const std::string random = "0123456789abcdef0123456789abcdef";
  EXPECT_TRUE(EngineId::Parse("r.0." + random));
  for (const std::string& text : std::vector<std::string>{
           "", ".", "..", "r.0" + random, "r.0." + random + "0", "r.0." + random.substr(1), ".0." + random,
           "r.." + random, "r.-1." + random, "r.x." + random, "r.99999999999999999999." + random, "r x.0." + random,
           "r.0.g123456789abcdef0123456789abcdef", "r.0.+123456789abcdef0123456789abcde",
           std::string(65, 'r') + ".0." + random, "r.0.1." + random}) {
    EXPECT_FALSE(EngineId::Parse(text)) << text;
  }
}

}  // namespace
}  // namespace sesior::realtime
