// Which names of this machine a request may use in its Host header. A web page of somebody else can
// let its own name point to this address (DNS rebinding), and would then read the answers in the
// browser of whoever visits it: such requests carry the foreign name. Pure. Immutable; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pgsteer {

class AllowedHosts {
 public:
  // `names` in any case; "*" among them allows every name.
  explicit AllowedHosts(const std::vector<std::string>& names);

  // `host` is the header's value, a port may follow the name. Addresses and localhost are always
  // allowed: they cannot be made to point elsewhere.
  bool allow(std::string_view host) const;

 private:
  std::vector<std::string> names_;
  bool all_ = false;
};

}  // namespace pgsteer
