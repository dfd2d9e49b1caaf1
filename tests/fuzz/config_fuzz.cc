// Any bytes as a config. The seeds are in corpus/config; a finding belongs there too.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/parse.h"
#include "config/settings.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const pgsteer::Parsed parsed = pgsteer::parse_text(text, "fuzz.toml");
  unsigned line = 0;
  for (const pgsteer::Diagnostic& diagnostic : parsed.diagnostics) {
    if (diagnostic.message.empty() || diagnostic.line < line) std::abort();
    if (diagnostic.text().find('\n') != std::string::npos) std::abort();
    line = diagnostic.line;
  }
  if (!parsed.ok()) return 0;
  // An accepted config can be run: it has a listener and a node, and every setting can be printed.
  if (parsed.config.nodes.empty() || parsed.config.listen.empty()) std::abort();
  if (parsed.config.clusters.empty()) std::abort();
  for (const pgsteer::ListenConfig& listen : parsed.config.listen) {
    if (listen.name.empty() || listen.bind.empty()) std::abort();
  }
  for (const pgsteer::NodeConfig& node : parsed.config.nodes) {
    if (node.name.empty() || node.host.empty() || node.rest.empty()) std::abort();
  }
  for (const pgsteer::Setting& each : pgsteer::settings()) {
    if (each.write(parsed.config, 0).empty()) std::abort();
  }
  return 0;
}
