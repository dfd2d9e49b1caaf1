// Errors of socket() that are pgsteer's own: they say nothing about the node that was to be asked.
// Pure; any thread.
#pragma once

#include <cerrno>

namespace pgsteer {

inline bool is_local_fault(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace pgsteer
