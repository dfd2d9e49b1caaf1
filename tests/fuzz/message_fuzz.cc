// Any bytes in both directions, in any pieces, with gaps. The first byte chooses between two kinds
// of input: a byte stream, which must give the same result however it is cut; or a script of
// chunks, skips and attempts to regain framing, after each step of which the invariants must hold.
#include <algorithm>
#include <cstdint>

#include "proxy/wire/message.h"
#include "tests/fuzz/expect.h"

namespace {

using namespace pgsteer;
using Bytes = std::span<const std::byte>;

struct Session {
  ServerStream server;
  ClientStream client;
};

void examine(const Session& s) {
  if (s.server.opaque()) {
    FUZZ_EXPECT(!s.server.can_send_error() && s.server.login() == nullptr);
    FUZZ_EXPECT(s.server.body_left() == 0);
  }
  if (s.server.sqlstate().size() != 0) {
    FUZZ_EXPECT(s.server.ending() != ServerStream::Ending::kNone);
    FUZZ_EXPECT(s.server.sqlstate().size() == 5);
  }
  if (s.server.can_send_error()) FUZZ_EXPECT(s.server.at_boundary());
  if (const LoginFacts* facts = s.server.login()) {
    FUZZ_EXPECT(facts->key_size <= kMaxCancelKey && facts->has_key == (facts->key_size != 0));
    FUZZ_EXPECT(facts->server_version.size() <= 64);
  }
  if (idle(s.server, s.client)) {
    FUZZ_EXPECT(s.server.can_send_error() || s.server.ending() != ServerStream::Ending::kNone);
    FUZZ_EXPECT(s.client.due() == 0 && s.client.certain() && s.client.at_boundary());
    FUZZ_EXPECT(!s.server.opaque() && s.server.login_done() && s.server.status() == 'I');
  }
}

bool same(const Session& a, const Session& b) {
  const LoginFacts* x = a.server.login();
  const LoginFacts* y = b.server.login();
  if ((x == nullptr) != (y == nullptr)) return false;
  if (x != nullptr) {
    if (x->pid != y->pid || !std::ranges::equal(x->key(), y->key())) return false;
    if (x->in_hot_standby != y->in_hot_standby || x->server_version != y->server_version) {
      return false;
    }
    if (x->authentication != y->authentication) return false;
    if (x->negotiated_protocol != y->negotiated_protocol) return false;
  }
  return a.server.login_done() == b.server.login_done() && a.server.status() == b.server.status() &&
         a.server.opaque() == b.server.opaque() && a.server.ending() == b.server.ending() &&
         a.server.sqlstate() == b.server.sqlstate() &&
         a.server.at_boundary() == b.server.at_boundary() &&
         a.server.body_left() == b.server.body_left() &&
         a.server.replicating() == b.server.replicating() && a.client.due() == b.client.due() &&
         a.client.certain() == b.client.certain() && a.client.opaque() == b.client.opaque() &&
         a.client.unsynced() == b.client.unsynced() && a.client.copy_in() == b.client.copy_in() &&
         // Without framing, Terminate is recognised only in a chunk of its own, so the cut matters.
         (a.client.opaque() || a.client.terminated() == b.client.terminated()) &&
         a.client.body_left() == b.client.body_left() &&
         idle(a.server, a.client) == idle(b.server, b.client);
}

// The client's bytes, then the server's: whole, in pieces of `piece`, and byte by byte.
void cut_differently(Bytes bytes, std::size_t piece, std::size_t split) {
  const Bytes from_client = bytes.first(std::min(split * 4, bytes.size()));
  const Bytes from_server = bytes.subspan(from_client.size());
  const auto feed = [&](std::size_t step) {
    Session s;
    for (std::size_t at = 0; at < from_client.size(); at += step) {
      s.client.advance(from_client.subspan(at, std::min(step, from_client.size() - at)));
      examine(s);
    }
    for (std::size_t at = 0; at < from_server.size(); at += step) {
      s.server.advance(from_server.subspan(at, std::min(step, from_server.size() - at)), s.client);
      examine(s);
    }
    return s;
  };
  const Session whole = feed(bytes.size() + 1);
  FUZZ_EXPECT(same(whole, feed(piece + 1)));
  FUZZ_EXPECT(same(whole, feed(1)));
}

// One step of a script: an operation, a length, and that many bytes.
void step(Session& s, std::uint8_t operation, Bytes chunk, std::size_t gap) {
  switch (operation % 9) {
    case 0:
    case 1:
      s.client.advance(chunk);
      break;
    case 2:
    case 3:
      s.server.advance(chunk, s.client);
      break;
    case 4:
      s.client.skip(gap);
      break;
    case 5:
      s.server.skip(gap);
      break;
    case 6:  // the part of a stream that is looked at before it comes to rest
      s.client.skip(chunk.size());
      s.client.advance(chunk);
      break;
    case 7:
      if (s.server.resync_after_gap(chunk, s.client)) break;
      FUZZ_EXPECT(s.server.opaque());
      break;
    default:
      s.server.release_login();
      if (gap % 3 == 1) s.client.make_opaque();
      if (gap % 3 == 2) s.server.make_opaque();
      break;
  }
}

void run_script(Bytes bytes) {
  Session s;
  while (bytes.size() >= 2) {
    const auto operation = static_cast<std::uint8_t>(bytes[0]);
    const auto length = static_cast<std::size_t>(bytes[1]);
    bytes = bytes.subspan(2);
    const Bytes chunk = bytes.first(std::min(length, bytes.size()));
    // Skipped bytes are not part of the script.
    const bool takes = operation % 9 < 4 || operation % 9 == 6 || operation % 9 == 7;
    step(s, operation, chunk, length);
    if (takes) bytes = bytes.subspan(chunk.size());
    examine(s);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(reinterpret_cast<const std::byte*>(data), size);
  if (size < 3) return 0;
  if (data[0] % 2 == 0) {
    cut_differently(bytes.subspan(3), data[1], data[2]);
  } else {
    run_script(bytes.subspan(1));
  }
  return 0;
}
