// Any request to the HTTP server's routes: method, path, listener and Host header, each up to a
// line break, and in the first byte how it came in.
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>

#include "stats/routes.h"
#include "tests/fuzz/expect.h"

namespace {

using namespace pgsteer;

// Names that anybody may have chosen, with bytes that are not UTF-8.
constexpr const char* kEvil = "<b>\xff\"\\\x01";

ClusterViewPtr cluster() {
  ClusterView view;
  view.first_round_done = true;
  view.no_primary_why = std::string("pg-1: ") + kEvil;
  NodeView node;
  node.name = "pg-1";
  node.tags = {{kEvil, kEvil}};
  node.verdicts = {{"read_write", Admission::kAdmit, Reason::kPrimary, kEvil},
                   {"read_only", Admission::kAdmit, Reason::kPrimary, kEvil}};
  view.nodes.push_back(node);
  return std::make_shared<const ClusterView>(view);
}

TrafficView traffic() {
  TrafficView view;
  view.listeners.resize(2);
  view.listeners[0].name = "read_write";
  view.listeners[0].to = Target::kPrimary;
  view.listeners[1].name = "read_only";
  return view;
}

StatsSources sources() {
  StatsSources result;
  result.traffic = [] { return traffic(); };
  result.sessions = [] {
    SessionView session;
    session.user = session.database = session.application = kEvil;
    return std::vector<SessionView>{session};
  };
  result.version = "0";
  return result;
}

// One server with each way to show the session table.
struct Server {
  explicit Server(ShowSessions show) : routes(store, sources(), show, {"pgsteer.example"}) {
    store.publish(cluster());
  }
  StatsStore store;
  Routes routes;
};

void examine(const HttpRequest& request, const HttpAnswer& answer) {
  static const std::set<int> kStatuses{200, 403, 404, 405, 421, 503};
  FUZZ_EXPECT(kStatuses.contains(answer.status));
  const bool served = request.method == "GET" || request.method == "HEAD";
  FUZZ_EXPECT(served == (answer.status != 405));
  FUZZ_EXPECT(!answer.type.empty() && answer.type.find('\n') == std::string::npos);
  FUZZ_EXPECT(!answer.body.empty());
  const bool api = request.path.starts_with("/api/v1/");
  if (api && answer.status == 200) {
    FUZZ_EXPECT(answer.type == "application/json");
    FUZZ_EXPECT(nlohmann::json::accept(answer.body));
  }
  if (served && request.path == "/live") FUZZ_EXPECT(answer.status == 200);
  if (served && request.path == "/ready" && !request.listener) FUZZ_EXPECT(answer.status == 200);
  if (answer.status == 503) FUZZ_EXPECT(request.path == "/ready");
  // What the request says is never served as anything but text.
  if (answer.status != 200) FUZZ_EXPECT(answer.type.starts_with("text/plain"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Server loopback(ShowSessions::kLoopback);
  static Server always(ShowSessions::kAlways);
  static Server never(ShowSessions::kNever);
  if (size == 0) return 0;
  const unsigned flags = data[0];
  std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  std::array<std::string_view, 4> parts;
  for (std::string_view& part : parts) {
    part = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  }
  HttpRequest request{.method = parts[0], .path = parts[1], .listener = {}, .host = {}};
  if ((flags & 1) != 0) request.listener = std::string(parts[2]);
  if ((flags & 2) != 0) request.host = std::string(parts[3]);
  request.on_loopback = (flags & 4) != 0;
  examine(request, loopback.routes.answer(request));
  if ((flags & 8) != 0) examine(request, always.routes.answer(request));
  if ((flags & 16) != 0) examine(request, never.routes.answer(request));
  return 0;
}
