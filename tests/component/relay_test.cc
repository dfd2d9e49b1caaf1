// The relay alone, between two pairs of sockets, with the order of events that the test chooses.
#include "proxy/session/relay.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <tuple>
#include <utility>

#include "tests/component/wire_end.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

// A TCP connection over loopback: the relay's end, and the peer's.
std::pair<UniqueFd, WireEnd> tcp_pair() {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  ::bind(listener.get(), raw, size);
  ::listen(listener.get(), 1);
  ::getsockname(listener.get(), raw, &size);
  UniqueFd peer(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ::connect(peer.get(), raw, size);
  UniqueFd own(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  return {std::move(own), WireEnd(std::move(peer))};
}

struct RelayTest : testing::Test {
  RelayTest() {
    std::tie(client_side.watch.fd, client) = tcp_pair();
    std::tie(server_side.watch.fd, server) = tcp_pair();
  }
  // A session after its login.
  void begin(bool visible = true) {
    ASSERT_TRUE(relay.begin(visible, &bytes));
    if (visible) {
      const std::string login = wire::message('R', wire::u32(0)) + wire::ready();
      ASSERT_EQ(relay.feed_from_server(wire::bytes(login)), EndReason::kNone);
      ASSERT_EQ(client.receive(login.size()), login);
    }
  }
  // Until the kernel has delivered what the other end did.
  static bool arrived(const Connection& at, std::uint32_t events) {
    pollfd look{at.fd(), static_cast<short>(events), 0};
    return ::poll(&look, 1, 5000) == 1;
  }

  Poller poller;
  RelayResources resources{poller};
  ByteCounters::Pair bytes;
  Connection client_side;
  Connection server_side;
  WireEnd client;
  WireEnd server;
  Relay relay{resources, client_side, server_side};
};

// The server's FATAL and its reset arrive together with bytes of the client, which are served
// first: writing them fails. With a direct connection the client would read the FATAL.
TEST_F(RelayTest, LastWordsOfTheServerAreReadIfWritingToItFailsFirst) {
  begin();
  const std::string fatal = wire::report('E', "FATAL", "57P01", "terminating connection");
  client.send(wire::query("one"));
  ASSERT_TRUE(arrived(client_side, POLLIN));
  ASSERT_EQ(relay.on_ready(true, EPOLLIN), EndReason::kNone);
  ASSERT_EQ(server.receive(1), "Q");  // the rest stays unread, so closing resets
  server.send(fatal);
  server.close();
  ASSERT_TRUE(arrived(server_side, POLLRDHUP));
  client.send(wire::query("two"));
  ASSERT_TRUE(arrived(client_side, POLLIN));
  EXPECT_EQ(relay.on_ready(true, EPOLLIN), EndReason::kServerClosed);
  EXPECT_EQ(relay.server_stream().sqlstate(), "57P01");
  EXPECT_EQ(client.receive(fatal.size()), fatal);
}

TEST_F(RelayTest, AServerThatResetsWithoutAWordHasAborted) {
  begin();
  server.reset();
  ASSERT_TRUE(arrived(server_side, POLLRDHUP));
  client.send(wire::query());
  ASSERT_TRUE(arrived(client_side, POLLIN));
  EXPECT_EQ(relay.on_ready(true, EPOLLIN), EndReason::kServerAborted);
}

// psql inside TLS that is passed through: Terminate, close_notify, close. The server's own
// close_notify is unread at that time, so the close is a reset; it may come before the server's
// end.
TEST_F(RelayTest, AResetAfterTheGoodbyeOfTlsIsAnOrdinaryEnd) {
  begin(false);
  const std::string terminate = "\x17\x03\x03" + wire::u16(22) + std::string(22, 't');
  const std::string close_notify = "\x17\x03\x03" + wire::u16(19) + std::string(19, 'n');
  client.send(terminate + close_notify);
  ASSERT_TRUE(arrived(client_side, POLLIN));
  ASSERT_EQ(relay.on_ready(true, EPOLLIN), EndReason::kNone);
  client.reset();
  ASSERT_TRUE(arrived(client_side, POLLRDHUP));
  EXPECT_EQ(relay.on_ready(true, EPOLLIN | EPOLLERR | EPOLLHUP), EndReason::kClientClosed);
}

TEST_F(RelayTest, AResetWithoutAGoodbyeOfTlsIsNot) {
  begin(false);
  client.send("\x17\x03\x03" + wire::u16(22) + std::string(22, 'q'));
  ASSERT_TRUE(arrived(client_side, POLLIN));
  ASSERT_EQ(relay.on_ready(true, EPOLLIN), EndReason::kNone);
  client.reset();
  ASSERT_TRUE(arrived(client_side, POLLRDHUP));
  EXPECT_EQ(relay.on_ready(true, EPOLLIN | EPOLLERR | EPOLLHUP), EndReason::kClientAborted);
}

TEST_F(RelayTest, SilenceAfterAnAnswerCountsFromTheFirstCall) {
  begin(false);
  using namespace std::chrono_literals;
  const auto start = PeerSilence::Clock::now();
  const auto silent = [&](std::chrono::milliseconds at) {
    return relay.silent_since_answer(start + at, 2s);
  };
  EXPECT_FALSE(silent(0ms));
  EXPECT_FALSE(silent(5s));  // nothing has come from the server
  server.send("answer");
  ASSERT_TRUE(arrived(server_side, POLLIN));
  ASSERT_EQ(relay.on_ready(false, EPOLLIN), EndReason::kNone);
  EXPECT_FALSE(silent(6s));
  EXPECT_FALSE(silent(7900ms));
  EXPECT_TRUE(silent(8s));
  client.send("request");
  ASSERT_TRUE(arrived(client_side, POLLIN));
  ASSERT_EQ(relay.on_ready(true, EPOLLIN), EndReason::kNone);
  EXPECT_FALSE(silent(9s));
  EXPECT_FALSE(silent(1h));
}

// A server that does not read has failed a COPY whose data are on their way to it through a pipe.
// There may be requests behind them.
TEST_F(RelayTest, BytesInAPipeAreNotIdle) {
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()), 0);
  server_side.watch.fd.reset(pair[0]);
  server = WireEnd(UniqueFd(pair[1]));
  resources.sizes = {.read = 128, .splice_turn = 2048, .thin = 32, .tail = 96};
  begin();
  const auto from_client = [&](const std::string& sent) {
    client.send(sent);
    ASSERT_TRUE(arrived(client_side, POLLIN));
    ASSERT_EQ(relay.on_ready(true, EPOLLIN), EndReason::kNone);
  };
  const auto from_server = [&](const std::string& sent) {
    server.send(sent);
    ASSERT_EQ(relay.on_ready(false, EPOLLIN), EndReason::kNone);
  };
  from_client(wire::query("copy t from stdin"));
  from_server(wire::message('G', std::string(3, '\0')));
  from_client(wire::message('d', std::string(4 * 128 - 5, 'x')));  // from now on it is spliced
  const std::string others(1 << 20, 'o');
  while (::send(server_side.fd(), others.data(), others.size(), MSG_DONTWAIT) > 0) {
  }
  from_client(wire::message('d', std::string(200, 'x')));
  from_server(wire::report('E', "ERROR", "22P02") + wire::ready());
  ASSERT_EQ(resources.pipes.taken(), 1u);
  ASSERT_TRUE(relay.client_stream().at_boundary());
  ASSERT_EQ(relay.client_stream().due(), 0u);
  EXPECT_FALSE(relay.idle());
}

TEST_F(RelayTest, APeerIsLookedAtOnlyIfSomethingWasSent) {
  begin();
  using namespace std::chrono_literals;
  const auto now = PeerSilence::Clock::now();
  EXPECT_TRUE(relay.worth_a_look());
  EXPECT_EQ(relay.look_at_peers(now, {}, 1s), EndReason::kNone);
  EXPECT_FALSE(relay.worth_a_look());
  client.send(wire::query());
  ASSERT_TRUE(arrived(client_side, POLLIN));
  ASSERT_EQ(relay.on_ready(true, EPOLLIN), EndReason::kNone);
  EXPECT_TRUE(relay.worth_a_look());
}

}  // namespace
}  // namespace pgsteer
