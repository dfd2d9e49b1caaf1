// The streaming half of the source: one session on one thread, with blocking calls.
#pragma once

#include <atomic>
#include <list>
#include <optional>
#include <string_view>
#include <thread>

#include "bench/load/net.h"
#include "bench/load/wire.h"

namespace pgsteer {

struct StreamRequest {
  bool towards_client = true;
  bool yielding = false;
  StreamShape shape;
};

// Parses "STREAM rows bytes [yielding]" and the same with SINK; empty for any other query.
std::optional<StreamRequest> parse_stream_request(std::string_view sql);

// The sessions that stream. Owned and called by one loop of the source.
class Streams {
 public:
  // Serves `first` and any further streams that the session requests, until it ends.
  void start(Fd session, StreamRequest first);

 private:
  struct Stream {
    std::atomic<bool> over{false};
    std::jthread thread;
  };
  std::list<Stream> streams_;
};

}  // namespace pgsteer
