// Long streams: intact in both directions, bounded in memory, and message framing regained
// afterwards.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "tests/component/proxy_fixture.h"
#include "tests/unit/wire.h"

namespace pgsteer {
namespace {

constexpr unsigned kBlocks = 64;  // of one megabyte each

// Reads the CopyOutResponse, then `blocks` times copy_block().
bool read_copy(ProxyClient& client, unsigned blocks) {
  const auto begins = client.message();
  if (!begins || begins->type != 'H') return false;
  for (unsigned i = 0; i < blocks; ++i) {
    const auto block = client.receive(copy_block().size());
    if (!block || *block != copy_block()) return false;
  }
  return client.wait_until_ready();
}

// Sends them after the CopyInResponse. Returns the command tag, which says whether they were
// intact.
std::string write_copy(ProxyClient& client, unsigned blocks) {
  client.send_query("copy in " + std::to_string(blocks));
  const auto begins = client.message();
  if (!begins || begins->type != 'G') return "no CopyInResponse";
  for (unsigned i = 0; i < blocks; ++i) {
    if (!client.send(copy_block())) return "cannot send";
  }
  client.send(wire::message('c'));
  return client.wait_until_ready() ? client.tag : "no end";
}

std::size_t resident_bytes() {
  std::size_t pages = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * 4096;
}

// Pipes that this process has open; each has two ends.
std::size_t open_pipes() {
  std::size_t ends = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    ends += std::filesystem::read_symlink(entry, gone).string().starts_with("pipe:") ? 1U : 0U;
  }
  return ends / 2;
}

class ProxyStream : public testing::TestWithParam<unsigned> {
 protected:
  ProxyStream() : proxy(1, GetParam()) {}

  void begin() {
    proxy.start();
    proxy.primary(0);
  }
  bool idle() {
    const auto views = proxy.sessions();
    return views.size() == 1 && views[0].phase == SessionPhase::kRelay && !views[0].busy;
  }

  ProxyFixture proxy;
};
INSTANTIATE_TEST_SUITE_P(Workers, ProxyStream, testing::Values(1U, 2U));

TEST_P(ProxyStream, ALongCopyOutArrivesIntact) {
  begin();
  ProxyClient client = proxy.session();
  client.send_query("copy out " + std::to_string(kBlocks));
  ASSERT_TRUE(read_copy(client, kBlocks));
  EXPECT_GE(proxy.traffic().bytes_out, kBlocks * copy_block().size());
  EXPECT_EQ(client.query("name"), "pg-1");
}

TEST_P(ProxyStream, ALongCopyInArrivesIntact) {
  begin();
  ProxyClient client = proxy.session();
  EXPECT_EQ(write_copy(client, kBlocks), "COPY intact");
  EXPECT_GE(proxy.traffic().bytes_in, kBlocks * copy_block().size());
  EXPECT_EQ(client.query("name"), "pg-1");
}

TEST_P(ProxyStream, TerminatedTlsArrivesIntactToo) {
  const TestCertificates certificates;
  proxy.rw().tls = ClientTls::kTerminate;
  proxy.rw().tls_certificate = certificates.certificate("server");
  proxy.rw().tls_key = certificates.key("server");
  begin();
  const auto context = certificates.client();
  ProxyClient client = proxy.connect();
  ASSERT_EQ(client.request_ssl(), 'S');
  ASSERT_TRUE(client.become_tls_client(context.get()));
  ASSERT_TRUE(client.log_in());
  client.send_query("copy out 8");
  EXPECT_TRUE(read_copy(client, 8));
  EXPECT_EQ(write_copy(client, 8), "COPY intact");
  EXPECT_TRUE(eventually([&] { return idle(); }));
}

// Its last ReadyForQuery is read and not spliced, so it is known to be idle, and a cut sends the
// reason.
TEST_P(ProxyStream, AfterACopyOutFramingIsRegained) {
  begin();
  ProxyClient client = proxy.session();
  client.send_query("copy out 16");
  ASSERT_TRUE(read_copy(client, 16));
  EXPECT_TRUE(eventually([&] { return idle(); }));
  proxy.no_primary();
  EXPECT_TRUE(client.ended_with("57P01"));
  EXPECT_TRUE(proxy.node(0).cancels().empty());
}

TEST_P(ProxyStream, AfterACopyInFramingIsRegained) {
  begin();
  ProxyClient client = proxy.session();
  ASSERT_EQ(write_copy(client, 16), "COPY intact");
  EXPECT_TRUE(eventually([&] { return idle(); }));
  proxy.no_primary();
  EXPECT_TRUE(client.ended_with("57P01"));
  EXPECT_TRUE(proxy.node(0).cancels().empty());
}

// They used to count as busy for good, with a pipe each; no pipe was left for the others.
TEST_P(ProxyStream, FortyPooledSessionsAreIdleAfterOneLargeResultEach) {
  begin();
  const std::size_t pipes = open_pipes();
  std::vector<ProxyClient> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(proxy.session());
    ASSERT_TRUE(clients.back().query("result 500"));
  }
  EXPECT_TRUE(eventually([&] {
    const auto views = proxy.sessions();
    return views.size() == 40 && std::ranges::none_of(views, &SessionView::busy);
  }));
  EXPECT_LE(open_pipes(), pipes + 8);  // a few are kept for the next streams
  proxy.no_primary();
  for (ProxyClient& client : clients) EXPECT_TRUE(client.ended_with("57P01"));
  EXPECT_TRUE(proxy.node(0).cancels().empty());
}

// A batch has more messages than bytes in any one of them: it is copied, and its requests counted.
TEST_P(ProxyStream, AfterALargeBatchOfSmallRequestsTheSessionIsIdle) {
  begin();
  ProxyClient client = proxy.session();
  const std::string request = wire::query("a request of a batch");
  std::atomic<int> answers = 0;
  constexpr int kRequests = 40'000;
  std::thread reader([&] {
    while (answers < kRequests && client.wait_until_ready()) ++answers;
  });
  std::string batch;
  for (int i = 0; i < kRequests; ++i) batch += request;
  EXPECT_TRUE(client.send(batch));
  reader.join();
  EXPECT_EQ(answers, kRequests);
  EXPECT_TRUE(eventually([&] { return idle(); }));
}

// It may be inside a message, where the client would read an ErrorResponse as data.
TEST_P(ProxyStream, DuringACopyOutTheSessionIsCutWithoutAnError) {
  begin();
  ProxyClient client = proxy.session();
  client.slow_buffers();
  client.send_query("copy out 32");
  ASSERT_TRUE(client.receive(4 << 20));  // spliced by now
  proxy.no_primary();
  ASSERT_TRUE(eventually([&] { return proxy.ended("role_lost") == 1; }));
  std::string rest;
  for (std::string some = client.some(1 << 20); !some.empty(); some = client.some(1 << 20)) {
    rest = (rest + some).substr(rest.size() > 1000 ? rest.size() - 1000 : 0);
  }
  EXPECT_EQ(rest.find("57P01"), std::string::npos);
  EXPECT_TRUE(eventually([&] { return proxy.node(0).cancels().size() == 1; }));
}

TEST_P(ProxyStream, ASlowReaderCostsNoMemory) {
  begin();
  ProxyClient client = proxy.session();
  client.slow_buffers();
  ASSERT_TRUE(client.query("warm up"));
  const std::size_t before = resident_bytes();
  client.send_query("copy out " + std::to_string(kBlocks));
  // The stream stops: the byte count is unchanged fifty times in a row.
  std::uint64_t moved = 0;
  int still = 0;
  ASSERT_TRUE(eventually([&] {
    const std::uint64_t now = proxy.traffic().bytes_out;
    still = now == moved && now > 0 ? still + 1 : 0;
    moved = now;
    return still >= 50;
  }));
  EXPECT_LT(proxy.node(0).copied_out(), kBlocks * copy_block().size());
  EXPECT_LT(resident_bytes(), before + (24 << 20));
  EXPECT_TRUE(read_copy(client, kBlocks));
}

// The client can send no more than the buffers hold.
TEST_P(ProxyStream, ASlowServerSlowsTheClient) {
  const auto go = std::make_shared<std::atomic<bool>>(false);
  FakePostgres::Behaviour reads_late;
  reads_late.script = [go](WireEnd& end) {
    end.slow_buffers();
    end.receive(ProxyClient::startup_packet().size());
    end.send(wire::message('R', wire::u32(0)) + wire::ready());
    eventually([&] { return go->load(); });
    std::size_t taken = 0;
    while (taken < kBlocks * copy_block().size()) {
      const std::string some = end.some(1 << 20);
      if (some.empty()) return;
      taken += some.size();
    }
    end.send(wire::complete("COPY all") + wire::ready());
    end.receive(1);
  };
  proxy.node(0).set(reads_late);
  begin();
  ProxyClient client = proxy.session();
  ASSERT_TRUE(client.open());
  std::atomic<unsigned> sent = 0;
  std::thread writer([&] {
    for (unsigned i = 0; i < kBlocks && client.send(copy_block()); ++i) ++sent;
  });
  std::uint64_t moved = 0;
  int still = 0;
  EXPECT_TRUE(eventually([&] {
    const std::uint64_t now = proxy.traffic().bytes_in;
    still = now == moved && now > 0 ? still + 1 : 0;
    moved = now;
    return still >= 50;
  }));
  EXPECT_LT(sent, kBlocks);
  *go = true;
  writer.join();
  EXPECT_EQ(sent, kBlocks);
  EXPECT_TRUE(client.wait_until_ready());
  EXPECT_EQ(client.tag, "COPY all");
}

TEST_P(ProxyStream, SmallSessionsAreServedBesideALongStream) {
  begin();
  ProxyClient small = proxy.session();
  ProxyClient large = proxy.session();
  large.send_query("copy out " + std::to_string(kBlocks));
  std::atomic<bool> intact = false;
  std::thread reader([&] { intact = read_copy(large, kBlocks); });
  for (int i = 0; i < 200; ++i) EXPECT_EQ(small.query("name"), "pg-1");
  reader.join();
  EXPECT_TRUE(intact);
}

TEST_P(ProxyStream, MessagesInAnyPiecesArriveIntact) {
  begin();
  ProxyClient client = proxy.session();
  const std::string query = wire::query("a statement of some length");
  for (std::size_t cut = 1; cut < query.size(); ++cut) {
    ASSERT_TRUE(client.send(query.substr(0, cut)));
    ASSERT_TRUE(eventually([&] { return proxy.traffic().bytes_in % query.size() == cut; }));
    ASSERT_TRUE(client.send(query.substr(cut)));
    ASSERT_TRUE(client.wait_until_ready());
  }
  EXPECT_TRUE(eventually([&] { return idle(); }));
}

}  // namespace
}  // namespace pgsteer
