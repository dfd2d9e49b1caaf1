// Any bytes as a PROXY header.
#include <cstdint>
#include <vector>

#include "proxy/wire/proxy_header.h"
#include "tests/fuzz/expect.h"

namespace {

using namespace pgsteer;
using Kind = ProxyHeaderKind;

void examine(std::size_t have, const ProxyHeader& header) {
  FUZZ_EXPECT((header.kind == Kind::kMalformed) == (header.problem != nullptr));
  if (header.kind == Kind::kNeedMore) {
    FUZZ_EXPECT(header.size > have && header.size <= kMaxProxyV2);
  }
  if (header.kind == Kind::kLocal || header.kind == Kind::kAddress) {
    FUZZ_EXPECT(header.size >= 15 && header.size <= have);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  const ProxyHeader whole = decode_proxy_header(bytes);
  examine(size, whole);
  for (std::size_t cut = 0; cut <= size && cut <= kMaxProxyV1 + 1; ++cut) {
    const ProxyHeader part = decode_proxy_header(bytes.first(cut));
    examine(cut, part);
    if (part.kind == Kind::kNeedMore) continue;
    FUZZ_EXPECT(part.kind == whole.kind && part.size == whole.size);
    FUZZ_EXPECT(part.source == whole.source && part.destination == whole.destination);
  }
  if (whole.kind == Kind::kNeedMore && whole.size - size > 1) {
    // It does not request too much: with one byte less than requested it still waits.
    std::vector<std::byte> more(bytes.begin(), bytes.end());
    more.resize(whole.size - 1);
    const ProxyHeader later = decode_proxy_header(more);
    FUZZ_EXPECT(later.kind == Kind::kNeedMore || later.kind == Kind::kMalformed);
  }
  return 0;
}
