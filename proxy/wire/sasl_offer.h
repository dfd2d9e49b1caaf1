// What a server offers for a SASL login, without the mechanism that binds the login to the server's
// TLS. For a client whose own connection is in clear while pgsteer speaks TLS with the node.
// Pure: bytes in, bytes out. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pgsteer {

enum class SaslOffer : std::uint8_t {
  kNeedMore,  // nothing is decided yet, and nothing changed
  kDone,      // there is no such offer, or SCRAM-SHA-256-PLUS is not in it any more
};

// `answer` is what a server has said since the startup packet. Looks past what may come before an
// authentication request (NegotiateProtocolVersion, notices).
SaslOffer remove_channel_binding(std::vector<std::byte>& answer);

}  // namespace pgsteer
