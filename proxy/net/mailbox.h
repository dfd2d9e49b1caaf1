// Tasks that other threads hand to a loop's thread. Owned by an EventLoop, which watches wakeup().
// asio queues the tasks; an eventfd in the loop's own epoll set says that there are some.
#pragma once

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <atomic>
#include <utility>

#include "proxy/net/poller.h"

namespace pgsteer {

class Mailbox {
 public:
  // Throws std::system_error if there is no descriptor left.
  explicit Mailbox(Poller& poller);

  // Any thread: `task` runs on the loop's thread, in the order of the calls of each thread.
  template <class Task>
  void post(Task task) {
    asio::post(tasks_, std::move(task));
    notify();
  }

  // Runs what has been posted so far; the loop's thread only.
  void run();

 private:
  void notify();

  asio::io_context tasks_{1};
  asio::executor_work_guard<asio::io_context::executor_type> open_{tasks_.get_executor()};
  Watch wakeup_;  // an eventfd
  std::atomic<bool> notified_{false};
};

}  // namespace pgsteer
