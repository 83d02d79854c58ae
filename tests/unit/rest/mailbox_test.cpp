#include "services/rest/http/mailbox.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <thread>

namespace sesior::rest {
namespace {

bool IsReadable(int fd) {
  pollfd poll_fd{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&poll_fd, 1, 0) == 1;
}

TEST(Mailbox, WakesForOtherThreadsOnly) {
  Mailbox mailbox;
  mailbox.BindToThisThread();
  int ran = 0;
  mailbox.Post([&ran] { ran += 1; });
  EXPECT_FALSE(IsReadable(mailbox.wake_fd()));
  std::thread([&] { mailbox.Post([&ran] { ran += 10; }); }).join();
  EXPECT_TRUE(IsReadable(mailbox.wake_fd()));
  for (Task& task : mailbox.Take()) std::move(task)();
  EXPECT_EQ(ran, 11);
  EXPECT_FALSE(IsReadable(mailbox.wake_fd()));
  EXPECT_TRUE(mailbox.Take().empty());
}

TEST(Mailbox, DropsWhatComesAfterItsEnd) {
  Mailbox mailbox;
  auto owned = std::make_shared<int>(0);
  mailbox.Post([owned] {});
  mailbox.Close();
  mailbox.Post([owned] {});
  EXPECT_EQ(owned.use_count(), 1);
  EXPECT_TRUE(mailbox.Take().empty());
}

TEST(Mailbox, MayBePostedToByADroppedTask) {
  Mailbox mailbox;
  struct PostsWhenItDies {
    Mailbox* mailbox;
    ~PostsWhenItDies() {
      mailbox->Post([] {});
    }
  };
  mailbox.Post([dying = std::make_shared<PostsWhenItDies>(&mailbox)] {});
  mailbox.Close();
}

}  // namespace
}  // namespace sesior::rest
