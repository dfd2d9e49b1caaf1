// Any bytes as a TLS ClientHello; valid ones also split into other records.
#include <algorithm>
#include <cstdint>

#include "proxy/wire/client_hello.h"
#include "tests/fuzz/expect.h"

namespace {

using namespace pgsteer;
using Kind = ClientHelloKind;

void examine(const ClientHello& hello) {
  if (hello.kind != Kind::kFound) FUZZ_EXPECT(hello.server_name.empty() && hello.alpn.empty());
  FUZZ_EXPECT(hello.server_name.size() <= 255 && hello.alpn.size() <= kMaxAlpn);
  for (const char c : hello.server_name) FUZZ_EXPECT(c > ' ' && c <= '~');
  for (const std::string& name : hello.alpn) FUZZ_EXPECT(!name.empty() && name.size() <= 255);
}

// The first record's payload, which contains the whole hello, in records of `size` bytes.
std::vector<std::byte> recut(std::span<const std::byte> bytes, std::size_t size) {
  const auto length = static_cast<std::size_t>(bytes[3]) << 8 | static_cast<std::size_t>(bytes[4]);
  auto payload = bytes.subspan(5, std::min(length, bytes.size() - 5));
  std::vector<std::byte> out;
  while (!payload.empty()) {
    const auto part = payload.first(std::min(size, payload.size()));
    out.insert(out.end(), bytes.begin(), bytes.begin() + 3);
    out.push_back(static_cast<std::byte>(part.size() >> 8));
    out.push_back(static_cast<std::byte>(part.size() & 0xff));
    out.insert(out.end(), part.begin(), part.end());
    payload = payload.subspan(part.size());
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  const ClientHello whole = decode_client_hello(bytes);
  examine(whole);
  if (size >= kMaxClientHello) FUZZ_EXPECT(whole.kind != Kind::kNeedMore);
  for (const std::size_t cut : {size / 3, size / 2, size - std::min<std::size_t>(size, 1)}) {
    const ClientHello part = decode_client_hello(bytes.first(cut));
    examine(part);
    if (part.kind == Kind::kNeedMore) continue;
    FUZZ_EXPECT(part.kind == whole.kind && part.server_name == whole.server_name);
  }
  if (whole.kind == Kind::kFound && size < kMaxClientHello / 8) {
    for (const std::size_t record : {1u, 7u, 100u}) {
      const ClientHello again = decode_client_hello(recut(bytes, record));
      // The input had several records, so the first may not contain the whole hello.
      if (again.kind == Kind::kNeedMore) continue;
      FUZZ_EXPECT(again.kind == Kind::kFound && again.server_name == whole.server_name);
      FUZZ_EXPECT(again.alpn == whole.alpn);
    }
  }
  return 0;
}
