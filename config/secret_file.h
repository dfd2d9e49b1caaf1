// Passwords and private keys belong to whoever runs pgsteer. Looks at the file; any thread.
#pragma once

#include <string>

namespace pgsteer {

// Why the file at `path` is not secret: everybody on this machine may read or change it. Empty if
// it is, or if there is no such file. (Its group may: that is how a key is shared with PostgreSQL.)
std::string why_not_secret(const std::string& path);

}  // namespace pgsteer
