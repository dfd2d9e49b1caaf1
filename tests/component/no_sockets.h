// A process without a descriptor for another socket.
#pragma once

namespace pgsteer {

// While it lives socket() fails with EMFILE, in this program and in the libraries that it links.
// With a real limit UBSan reports defects that are none: its check of virtual calls opens a pipe.
class NoSockets {
 public:
  NoSockets();
  NoSockets(const NoSockets&) = delete;
  NoSockets& operator=(const NoSockets&) = delete;
  ~NoSockets();
};

}  // namespace pgsteer
