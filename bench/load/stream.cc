#include "bench/load/stream.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/load/wire.h"

namespace pgsteer {
namespace {

constexpr std::uint64_t kCopyBytes = 1ULL << 30;
constexpr std::size_t kBlock = 256 * 1024;

class Stream {
 public:
  Stream(const Fd& session, const StreamPlan& plan, const Window& window)
      : fd_(session.get()), plan_(plan), window_(window), buffer_(kBlock) {
    shape_.row_bytes = plan.row_bytes;
    shape_.rows = kCopyBytes / (plan.row_bytes + 5ULL);
    make_blocking(fd_);
  }

  Streamed run() {
    const std::string verb = plan_.receive ? "STREAM " : "SINK ";
    const std::string request =
        query(verb + std::to_string(shape_.rows) + " " + std::to_string(shape_.row_bytes) +
              (plan_.yielding ? " yielding" : ""));
    if (plan_.yielding) yield_to_others();
    while (!over_) {
      write(request, false);
      if (plan_.receive) {
        receive_copy();
      } else {
        send_copy();
      }
    }
    return streamed_;
  }

 private:
  void receive_copy() {
    MessageFramer framer;
    bool done = false;
    while (!done && !over_) {
      const std::size_t got = read();
      count(got);
      const bool valid = framer.feed({buffer_.data(), got}, [&](char type) {
        if (type == 'H') framer.skip(shape_.bytes());
        if (type == 'E') throw std::runtime_error("a stream received an error");
        done = type == 'Z';
      });
      if (!valid) throw std::runtime_error("a stream did not have the expected bytes");
    }
  }

  void send_copy() {
    await('G');
    const std::string block = copy_rows(shape_.row_bytes, kBlock);
    for (std::uint64_t left = shape_.bytes(); left > 0 && !over_;) {
      const auto step = std::min<std::uint64_t>(left, block.size());
      write({block.data(), step}, true);
      left -= step;
    }
    if (over_) return;
    write(copy_done(), false);
    await('Z');
  }

  void await(char wanted) {
    MessageFramer framer;
    for (bool found = false; !found;) {
      const std::size_t got = read();
      const bool valid =
          framer.feed({buffer_.data(), got}, [&](char type) { found = found || type == wanted; });
      if (!valid) throw std::runtime_error("a stream received an invalid message");
    }
  }

  std::size_t read() {
    const ssize_t got = recv(fd_, buffer_.data(), buffer_.size(), 0);
    if (got > 0) return static_cast<std::size_t>(got);
    throw std::runtime_error(std::string("a stream ended: ") +
                             (got == 0 ? "closed" : std::strerror(errno)));
  }

  void write(std::string_view bytes, bool counted) {
    while (!bytes.empty() && !(counted && over_)) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0)
        throw std::runtime_error(std::string("a stream ended: ") + std::strerror(errno));
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      if (counted) count(static_cast<std::size_t>(sent));
    }
  }

  void count(std::size_t bytes) {
    const auto now = Clock::now();
    over_ = now >= window_.end;
    if (now >= window_.begin && !over_) {
      streamed_.bytes += bytes;
      if (last_ >= window_.begin) streamed_.longest = std::max(streamed_.longest, now - last_);
    }
    last_ = now;
  }

  const int fd_;
  const StreamPlan plan_;
  const Window window_;
  StreamShape shape_;
  std::vector<char> buffer_;
  Streamed streamed_;
  Clock::time_point last_;
  bool over_ = false;
};

}  // namespace

Streamed run_stream(const Fd& session, const StreamPlan& plan, const Window& window) {
  return Stream(session, plan, window).run();
}

}  // namespace pgsteer
