#include "config/secret_file.h"

#include <sys/stat.h>

#include <array>
#include <cstdio>

#include "config/rule.h"

namespace pgsteer {

std::string why_not_secret(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || (status.st_mode & (S_IROTH | S_IWOTH)) == 0) return {};
  std::array<char, 8> mode{};
  std::snprintf(mode.data(), mode.size(), "%04o", static_cast<unsigned>(status.st_mode & 07777U));
  return std::string("everybody on this machine may ") +
         ((status.st_mode & S_IROTH) != 0 ? "read" : "change") + " it (mode " + mode.data() +
         "); run chmod o= on it";
}

Rule<std::string> secret_file_rule() {
  Rule<std::string> rule = file_rule();
  rule.read = [read = rule.read](const TomlValue& toml, std::string& value, ReadContext& context) {
    const std::size_t errors = context.errors.size();
    read(toml, value, context);
    if (value.empty() || context.errors.size() != errors) return;
    const std::string why = why_not_secret(value);
    if (!why.empty()) context.report(toml, in_quotes(value) + " is a secret, but " + why);
  };
  return rule;
}

}  // namespace pgsteer
