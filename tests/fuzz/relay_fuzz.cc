// The relay of a session over two socket pairs: bytes from both sides in pieces, in any order, with
// receivers that do not read, closes and resets. Sizes are small, so that few bytes make a stream
// that is spliced, and a full receiver.
//
// The first byte chooses what is sent: messages of a client and of a server that answers them as
// PostgreSQL does (then idle() and can_send_error() are compared with what is true), or any bytes.
// The others are a script. Whatever happens, no byte is lost, doubled or reordered on its way, and
// pipes and descriptors come back.
#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/session/relay.h"
#include "tests/fuzz/expect.h"
#include "tests/fuzz/relay_model.h"

namespace {

using namespace pgsteer;

constexpr int kSocketBuffer = 4096;  // the kernel doubles it
constexpr std::size_t kMostBytes = 60'000;

struct World {
  World() {
    ::signal(SIGPIPE, SIG_IGN);  // as in the program: splice() has no flag against it
    resources.sizes = {.read = 128, .splice_turn = 2048, .thin = 32, .tail = 96};
  }
  Poller poller;
  RelayResources resources{poller};
  ByteCounters::Pair bytes;
};

// One end that the script plays, with all that it has sent and received.
struct End {
  UniqueFd fd;
  std::string to_send;  // all of it, sent or not
  std::size_t sent = 0;
  std::string received;
  std::size_t compared = 0;  // of these, with what was sent
  bool closed = false;

  void send_some(std::size_t most) {
    if (closed || sent == to_send.size()) return;
    const std::size_t n = std::min(most, to_send.size() - sent);
    const ssize_t put = ::send(fd.get(), to_send.data() + sent, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put > 0) sent += static_cast<std::size_t>(put);
  }
  void receive_some(std::size_t most) {
    char some[4096];
    if (closed) return;
    const ssize_t got = ::recv(fd.get(), some, std::min(most, sizeof some), MSG_DONTWAIT);
    if (got > 0) received.append(some, static_cast<std::size_t>(got));
  }
  std::size_t delivered() const {
    int waiting = 0;
    if (!closed) ::ioctl(fd.get(), FIONREAD, &waiting);
    return received.size() + static_cast<std::size_t>(waiting);
  }
};

struct Session {
  explicit Session(World& in_world) : world(in_world), relay(in_world.resources, client, server) {
    connect(client, client_end);
    connect(server, server_end);
  }
  ~Session() {
    for (Connection* side : {&client, &server}) world.poller.close(side->watch);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void connect(Connection& side, End& end) {
    int pair[2];
    FUZZ_EXPECT(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    side.watch.fd.reset(pair[0]);
    end.fd.reset(pair[1]);
    for (const int fd : pair) {
      ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof kSocketBuffer);
    }
    side.watch.owner = this;
    side.watch.ready = [](void* self, Watch& watch, std::uint32_t events) {
      auto& session = *static_cast<Session*>(self);
      if (session.over != EndReason::kNone) return;
      session.progress = true;
      session.over = session.relay.on_ready(&watch == &session.client.watch, events);
    };
  }

  // Lets the relay work off what is ready; true if there was anything.
  bool turn() {
    progress = false;
    world.poller.wait(0);
    world.poller.dispatch();
    check();
    return progress;
  }
  void settle() {
    // An edge that says nothing new would be a busy loop.
    for (int turns = 0; turn(); ++turns) FUZZ_EXPECT(turns < 10'000);
  }

  void check();
  void check_words();
  static bool intact(End& to, const End& from) {
    if (to.received.size() > from.sent) return false;
    const std::size_t begin = std::exchange(to.compared, to.received.size());
    const std::size_t size = to.compared - begin;
    return std::memcmp(to.received.data() + begin, from.to_send.data() + begin, size) == 0;
  }

  World& world;
  Connection client, server;
  End client_end, server_end;
  Relay relay;
  std::optional<ModelServer> model;
  // CopyDones that the client has sent since everything was answered. Of two or more the relay may
  // take the last for the first, if it could not see what lies between: message.h says so.
  int copy_dones = 0;
  EndReason over = EndReason::kNone;
  bool progress = false;
};

void Session::check() {
  FUZZ_EXPECT(intact(server_end, client_end));
  FUZZ_EXPECT(intact(client_end, server_end));
  FUZZ_EXPECT(relay.bytes_in() <= client_end.sent && relay.bytes_out() <= server_end.sent);
  if (model && over == EndReason::kNone) check_words();
}

// What the relay claims to know, against the server that is told all that the relay has read.
void Session::check_words() {
  if (relay.idle() && copy_dones < 2) {
    if (model->taken() == relay.bytes_in()) {
      FUZZ_EXPECT(model->idle_after(relay.bytes_out()));
    } else {
      ModelServer later = *model;
      later.take(std::string_view(client_end.to_send)
                     .substr(later.taken(), relay.bytes_in() - later.taken()));
      FUZZ_EXPECT(later.idle_after(relay.bytes_out()));
    }
  }
  if (relay.can_send_error() && !client_end.closed) {
    FUZZ_EXPECT(model->is_boundary(client_end.delivered()));
  }
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

// Adds what the model has said since the last time.
void answer(Session& s) {
  std::string& to_send = s.server_end.to_send;
  to_send.append(s.model->said(), to_send.size());
}

// The model reads what has arrived, and its answers are added to what its end sends.
void serve(Session& s, std::size_t most) {
  s.server_end.receive_some(most);
  if (!s.model) return;
  s.model->take(std::string_view(s.server_end.received).substr(s.model->taken()));
  answer(s);
}

void end_side(End& end, std::uint8_t how) {
  if (how % 3 == 0) {
    ::shutdown(end.fd.get(), SHUT_WR);
    end.to_send.resize(end.sent);
    end.closed = false;
    return;
  }
  end.fd.reset();  // with unread bytes this is a reset
  end.closed = true;
}

void request(Session& s, std::uint8_t operation, std::uint8_t value) {
  const std::size_t received = s.client_end.received.size();
  if (received == s.model->said().size() && s.model->taken() == s.client_end.to_send.size() &&
      s.model->idle_after(received)) {
    s.copy_dones = 0;
  }
  const std::string messages = model_request(operation, value);
  if (messages[0] == 'c') ++s.copy_dones;
  s.client_end.to_send += messages;
}

void step(Session& s, std::uint8_t operation, std::uint8_t value) {
  const std::size_t size = value < 200 ? value : (value - 199U) * 100U;
  const bool full =
      s.client_end.to_send.size() > kMostBytes || s.server_end.to_send.size() > kMostBytes;
  switch (operation % 12) {
    case 0:
    case 1:
      if (full) break;
      if (s.model) {
        request(s, operation, value);
      } else {
        s.client_end.to_send += model_noise(operation, size);
      }
      break;
    case 2:
      if (full) break;
      if (s.model) {
        s.model->speak(value);
        answer(s);
      } else {
        s.server_end.to_send += model_noise(operation, size);
      }
      break;
    case 3:
      s.client_end.send_some(size + 1);
      break;
    case 4:
      s.server_end.send_some(size + 1);
      break;
    case 5:
      s.client_end.receive_some(size + 1);
      break;
    case 6:
      serve(s, size + 1);
      break;
    case 7:
      s.client_end.send_some(kMostBytes);
      s.settle();
      serve(s, kMostBytes);
      break;
    case 8:
      s.server_end.send_some(kMostBytes);
      s.settle();
      s.client_end.receive_some(kMostBytes);
      break;
    case 9:
      s.settle();
      break;
    case 10:
      s.turn();
      break;
    default:
      // Rare: most sessions should live for a while.
      if (value > 250) end_side(value % 2 == 0 ? s.client_end : s.server_end, value >> 1);
      break;
  }
}

// Both sides read until nothing moves any more: all that was sent has arrived.
void finish(Session& s) {
  bool moving = true;
  while (moving && s.over == EndReason::kNone) {
    const auto before = s.client_end.received.size() + s.server_end.received.size() +
                        s.client_end.sent + s.server_end.sent;
    s.client_end.send_some(kMostBytes);
    s.server_end.send_some(kMostBytes);
    s.settle();
    s.client_end.receive_some(kMostBytes);
    s.server_end.receive_some(kMostBytes);
    s.settle();
    moving = s.client_end.received.size() + s.server_end.received.size() + s.client_end.sent +
                 s.server_end.sent !=
             before;
  }
  // (A relay that has ended by itself drops what nobody waits for: after a goodbye, after a close.)
  if (s.client_end.closed || s.server_end.closed || s.over != EndReason::kNone) return;
  FUZZ_EXPECT(s.client_end.received.size() == s.server_end.sent);
  // What a client sends after its goodbye is not read.
  if (s.relay.client_finished()) return;
  FUZZ_EXPECT(s.server_end.received.size() == s.client_end.sent);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  static std::uint64_t executions = 0;
  static const std::size_t descriptors = open_descriptors();
  if (size < 2 || size > 2000) return 0;
  {
    Session s(world);
    const bool visible = data[0] % 4 != 3;
    if (data[0] % 2 == 0) s.model.emplace();
    FUZZ_EXPECT(s.relay.begin(visible, &world.bytes));
    if (s.model) {
      s.model->log_in();
      answer(s);
      s.server_end.send_some(kMostBytes);
      s.settle();
    }
    for (std::size_t i = 1; i + 1 < size && s.over == EndReason::kNone; i += 2) {
      step(s, data[i], data[i + 1]);
    }
    finish(s);
    if (s.over == EndReason::kNone) {
      // At rest an idle session holds nothing.
      FUZZ_EXPECT(!s.relay.idle() || world.resources.pipes.taken() == 0);
    }
  }
  FUZZ_EXPECT(world.resources.pipes.taken() == 0);
  // The pool keeps a few pipes.
  if (++executions % 1024 == 0) FUZZ_EXPECT(open_descriptors() <= descriptors + 16);
  return 0;
}
