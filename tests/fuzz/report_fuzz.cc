// Any bytes as Patroni's reply: to GET /leader, /config and /cluster. The first byte chooses the
// status code, so that 200 and 503 are both tried.
#include <cstdint>
#include <string_view>

#include "health/patroni/report.h"
#include "tests/fuzz/expect.h"

namespace {

using namespace pgsteer;

void examine(const Report& report) {
  // judge relies on this: a writable node has shown a position, and a failed reply shows nothing.
  if (report.writable()) FUZZ_EXPECT(report.answered() && !report.in_recovery());
  if (report.leads()) FUZZ_EXPECT(report.lease && report.writable());
  if (!report.answered()) FUZZ_EXPECT(!report.lease && !report.writable());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const int status = data[0] % 3 == 0 ? 503 : data[0] % 3 == 1 ? 200 : 404;
  examine(parse_report(status, body, "Sat, 21 Nov 2026 01:00:00 GMT"));
  examine(parse_report(status, body, body));
  if (const auto times = parse_config_reply(status, body)) FUZZ_EXPECT(times->ttl.count() > 0);
  parse_cluster_reply(status, body);
  parse_http_date(body);
  return 0;
}
