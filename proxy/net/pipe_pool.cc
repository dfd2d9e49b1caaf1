#include "proxy/net/pipe_pool.h"

#include <fcntl.h>

#include <array>
#include <utility>

namespace pgsteer {

namespace {

constexpr std::size_t kKeptIdle = 4;  // further idle pipes are closed
// Requests that are not passed on to a kernel that has just refused one: each costs system calls.
constexpr unsigned kRefusalLasts = 1000;

std::unique_ptr<Pipe> open_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) return nullptr;
  auto pipe = std::make_unique<Pipe>();
  pipe->read.reset(ends[0]);
  pipe->write.reset(ends[1]);
  // Beyond the soft limit the kernel refuses to grow a pipe and creates smaller ones.
  ::fcntl(ends[1], F_SETPIPE_SZ, PipePool::kWantedSize);
  const int size = ::fcntl(ends[1], F_GETPIPE_SZ);
  if (size < PipePool::kUsefulSize) return nullptr;
  pipe->capacity = static_cast<std::size_t>(size);
  return pipe;
}

}  // namespace

std::unique_ptr<Pipe> PipePool::take() {
  if (out_ >= kMaxPipes) return nullptr;
  std::unique_ptr<Pipe> pipe;
  if (idle_.empty()) {
    if (refused_ > 0 && --refused_ > 0) return nullptr;
    pipe = open_pipe();
    if (!pipe) refused_ = kRefusalLasts;
  } else {
    pipe = std::move(idle_.back());
    idle_.pop_back();
  }
  if (pipe) ++out_;
  return pipe;
}

void PipePool::give_back(std::unique_ptr<Pipe> pipe) {
  --out_;
  if (pipe->filled == 0 && idle_.size() < kKeptIdle) idle_.push_back(std::move(pipe));
}

}  // namespace pgsteer
