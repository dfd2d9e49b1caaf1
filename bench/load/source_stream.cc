#include "bench/load/source_stream.h"

#include <sys/socket.h>

#include <array>
#include <charconv>
#include <string>
#include <vector>

namespace pgsteer {
namespace {

constexpr std::size_t kBlock = 256 * 1024;

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool stream_out(int fd, const StreamShape& shape) {
  const std::string block = copy_rows(shape.row_bytes, kBlock);
  std::string tail = copy_done() + copy_end(shape.rows);
  if (!send_all(fd, copy_response('H', 1))) return false;
  for (std::uint64_t left = shape.bytes(); left > 0;) {
    const auto step = std::min<std::uint64_t>(left, block.size());
    if (!send_all(fd, {block.data(), step})) return false;
    left -= step;
  }
  return send_all(fd, tail);
}

bool sink_in(int fd, const StreamShape& shape, std::vector<char>& buffer) {
  if (!send_all(fd, copy_response('G', 1))) return false;
  MessageFramer framer;
  framer.skip(shape.bytes());
  for (bool done = false; !done;) {
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) return false;
    const bool valid = framer.feed({buffer.data(), static_cast<std::size_t>(got)},
                                   [&](char type) { done = done || type == 'c'; });
    if (!valid) return false;
  }
  return send_all(fd, copy_end(shape.rows));
}

// The next query of a streaming session; empty at its end.
std::optional<StreamRequest> next_request(int fd) {
  std::array<char, 128> buffer{};
  std::size_t have = 0;
  while (have < 5 || have < read_be32(buffer.data() + 1) + 1U) {
    if (have == buffer.size()) return std::nullopt;
    const ssize_t got = recv(fd, buffer.data() + have, buffer.size() - have, 0);
    if (got <= 0) return std::nullopt;
    have += static_cast<std::size_t>(got);
  }
  if (buffer[0] != 'Q') return std::nullopt;
  return parse_stream_request({buffer.data() + 5, have - 6});
}

void serve(int fd, StreamRequest first) {
  make_blocking(fd);
  if (first.yielding) yield_to_others();
  std::vector<char> buffer(kBlock);
  std::optional<StreamRequest> request = first;
  while (request) {
    const bool complete = request->towards_client ? stream_out(fd, request->shape)
                                                  : sink_in(fd, request->shape, buffer);
    if (!complete) return;
    request = next_request(fd);
  }
}

}  // namespace

std::optional<StreamRequest> parse_stream_request(std::string_view sql) {
  StreamRequest request;
  if (sql.starts_with("STREAM ")) {
    sql.remove_prefix(7);
  } else if (sql.starts_with("SINK ")) {
    sql.remove_prefix(5);
    request.towards_client = false;
  } else {
    return std::nullopt;
  }
  const char* const end = sql.data() + sql.size();
  const auto rows = std::from_chars(sql.data(), end, request.shape.rows);
  if (rows.ec != std::errc{} || rows.ptr == end) return std::nullopt;
  const auto bytes = std::from_chars(rows.ptr + 1, end, request.shape.row_bytes);
  if (bytes.ec != std::errc{}) return std::nullopt;
  request.yielding = std::string_view(bytes.ptr, end) == " yielding";
  return request;
}

void Streams::start(Fd session, StreamRequest first) {
  streams_.remove_if([](const Stream& stream) { return stream.over.load(); });
  Stream& stream = streams_.emplace_back();
  stream.thread = std::jthread([&over = stream.over, fd = std::move(session), first] {
    serve(fd.get(), first);
    over = true;
  });
}

}  // namespace pgsteer
