// Server to client; see message.h.
#include <algorithm>

#include "proxy/wire/bytes.h"
#include "proxy/wire/error_response.h"
#include "proxy/wire/message.h"
#include "proxy/wire/stream_tail.h"

namespace pgsteer {
namespace {

// Enough for a complete BackendKeyData, and for severity and SQLSTATE, which come first in an
// ErrorResponse.
constexpr std::size_t kScratchBytes = 4 + kMaxCancelKey;
constexpr std::size_t kMaxServerVersion = 64;
constexpr std::size_t kReadyBytes = 6;  // Z, length 5, status

bool ready_status(char c) { return c == 'I' || c == 'T' || c == 'E'; }

}  // namespace

struct ServerStream::Scratch {
  LoginFacts facts;
  bool facts_held = false;  // until release_login(); false: used only for an error in pieces
  std::size_t used = 0;
  std::array<std::byte, kScratchBytes> bytes{};

  // Keeps as much as fits of a body that arrives in pieces.
  void append(std::uint32_t offset, std::span<const std::byte> part) {
    if (offset == 0) used = 0;
    const std::size_t fits = std::min(part.size(), bytes.size() - used);
    std::copy_n(part.begin(), fits, bytes.begin() + static_cast<std::ptrdiff_t>(used));
    used += fits;
  }
  std::span<const std::byte> body() const { return {bytes.data(), used}; }
};

ServerStream::ServerStream() : scratch_(std::make_unique<Scratch>()) {
  scratch_->facts_held = true;
}
ServerStream::~ServerStream() = default;
ServerStream::ServerStream(ServerStream&&) noexcept = default;
ServerStream& ServerStream::operator=(ServerStream&&) noexcept = default;

void ServerStream::advance(std::span<const std::byte> bytes, ClientStream& client) {
  if (opaque()) return;
  cursor_.advance(bytes, [&](char type, std::uint32_t size, std::uint32_t offset,
                             std::span<const std::byte> part) {
    if (login_done_) {
      visit(type, size, offset, part, client);
    } else {
      visit_login(type, size, offset, part, client);
    }
  });
  if (opaque()) scratch_.reset();
}

void ServerStream::visit(char type, std::uint32_t size, std::uint32_t offset,
                         std::span<const std::byte> part, ClientStream& client) {
  switch (type) {
    case 'Z':
      if (size == 1) {
        on_ready(part[0], client);
      } else {
        cursor_.lose();
      }
      break;
    case 'E':
      if (offset == 0) client.on_error();
      on_report_piece(type, size, offset, part);
      break;
    case 'N':
      on_report_piece(type, size, offset, part);
      break;
    case 'G':  // CopyInResponse
      if (offset == 0) client.on_copy_in();
      break;
    case 'W':  // CopyBothResponse
      copy_both_ = true;
      break;
    default:
      break;
  }
}

void ServerStream::visit_login(char type, std::uint32_t size, std::uint32_t offset,
                               std::span<const std::byte> part, ClientStream& client) {
  if (type == 'Z') {
    visit(type, size, offset, part, client);
  } else if (part.size() == size) {
    on_login_message(type, part, true);
  } else {
    scratch_->append(offset, part);
    if (offset + part.size() == size) {
      on_login_message(type, scratch_->body(), scratch_->used == size);
    }
  }
}

void ServerStream::on_login_message(char type, std::span<const std::byte> body, bool whole) {
  LoginFacts& facts = scratch_->facts;
  switch (type) {
    case 'R':  // Authentication...
      if (body.size() < 4) break;
      facts.authentication = load_u32(body.data());
      facts.authenticated = facts.authentication == 0;
      break;
    case 'S':  // ParameterStatus
      if (whole) on_parameter(body);
      break;
    case 'K':  // BackendKeyData
      if (!whole || body.size() <= 4 || body.size() > 4 + kMaxCancelKey) break;
      facts.has_key = true;
      facts.pid = load_u32(body.data());
      facts.key_size = static_cast<std::uint16_t>(body.size() - 4);
      std::copy(body.begin() + 4, body.end(), facts.key_bytes.begin());
      break;
    case 'v':  // NegotiateProtocolVersion
      if (body.size() >= 4) facts.negotiated_protocol = load_u32(body.data());
      break;
    case 'E':
    case 'N':
      on_report(type, body);
      break;
    default:
      break;
  }
}

void ServerStream::on_parameter(std::span<const std::byte> body) {
  const std::string_view all = text(body);
  const std::size_t name_end = all.find('\0');
  if (name_end == std::string_view::npos) return;
  const std::string_view name = all.substr(0, name_end);
  std::string_view value = all.substr(name_end + 1);
  value = value.substr(0, value.find('\0'));
  if (name == "in_hot_standby") {
    scratch_->facts.in_hot_standby = value == "on";
  } else if (name == "server_version") {
    scratch_->facts.server_version = value.substr(0, kMaxServerVersion);
  }
}

void ServerStream::on_report_piece(char type, std::uint32_t size, std::uint32_t offset,
                                   std::span<const std::byte> part) {
  if (part.size() == size) {
    on_report(type, part);
    return;
  }
  if (!scratch_) scratch_ = std::make_unique<Scratch>();
  scratch_->append(offset, part);
  if (offset + part.size() == size) {
    on_report(type, scratch_->body());
    if (!scratch_->facts_held) scratch_.reset();
  }
}

void ServerStream::on_report(char type, std::span<const std::byte> body) {
  if (ending_ == Ending::kFatal || ending_ == Ending::kLoginError) return;
  const auto fields = decode_error_fields(body.first(std::min(body.size(), kScratchBytes)));
  const std::string_view code = fields ? fields->sqlstate : std::string_view{};
  if (type == 'N') {
    if (code != "57P01" && code != "57P02") return;
    ending_ = Ending::kNotice;
  } else if (!login_done_) {
    ending_ = Ending::kLoginError;
  } else if (fields && fields->fatal()) {
    ending_ = Ending::kFatal;
  } else {
    return;
  }
  sqlstate_ = {};
  std::copy(code.begin(), code.end(), sqlstate_.begin());
}

void ServerStream::on_ready(std::byte status, ClientStream& client) {
  const char c = static_cast<char>(status);
  if (!ready_status(c)) {
    cursor_.lose();
    return;
  }
  status_ = c;
  if (login_done_) {
    client.on_ready();
  } else {
    login_done_ = true;  // this error answers the startup packet
  }
}

const LoginFacts* ServerStream::login() const {
  return scratch_ && scratch_->facts_held ? &scratch_->facts : nullptr;
}

void ServerStream::release_login() {
  if (!scratch_ || !login_done_) return;
  scratch_->facts_held = false;
  const bool error_in_pieces = cursor_.body_left() != 0 && !cursor_.unvisited() &&
                               (cursor_.type() == 'E' || cursor_.type() == 'N');
  if (!error_in_pieces) scratch_.reset();
}

std::string_view ServerStream::sqlstate() const {
  return sqlstate_[0] == 0 ? std::string_view{} : std::string_view(sqlstate_.data(), 5);
}

void ServerStream::skip(std::uint64_t count) {
  if (count == 0) return;
  constexpr std::string_view kWatched = "ZENGW";
  const bool inside = count <= cursor_.body_left() && login_done_ &&
                      kWatched.find(cursor_.type()) == std::string_view::npos;
  if (inside) {
    cursor_.skip(count);
  } else {
    make_opaque();
  }
}

void ServerStream::make_opaque() {
  cursor_.lose();
  scratch_.reset();
}

// A statement that is terminated in the middle of a long answer ends with a FATAL and nothing more.
void ServerStream::note_last_words(std::span<const std::byte> chunk) {
  const auto body = last_error_body(chunk);
  const auto fields = decode_error_fields(body.first(std::min(body.size(), kScratchBytes)));
  if (fields && fields->fatal()) on_report('E', body);
}

bool ServerStream::resync_after_gap(std::span<const std::byte> chunk, ClientStream& client) {
  if (!opaque()) {
    advance(chunk, client);
    return true;
  }
  if (!login_done_ || chunk.size() < kReadyBytes) return false;
  const auto ready = chunk.last(kReadyBytes);
  const auto status = static_cast<char>(ready[5]);
  if (ready[0] != std::byte{'Z'} || load_u32(ready.data() + 1) != 5 || !ready_status(status)) {
    note_last_words(chunk);
    return false;
  }
  const auto before = chunk.first(chunk.size() - kReadyBytes);
  if (!before.empty() && !ends_with_answer(before)) return false;
  cursor_.restart();
  status_ = status;
  client.on_ready_after_gap();
  return true;
}

bool idle(const ServerStream& server, const ClientStream& client) {
  return server.login_done() && server.status() == 'I' && server.at_boundary() &&
         !server.replicating() && client.certain() && client.at_boundary() && client.due() == 0 &&
         !client.unsynced();
}

}  // namespace pgsteer
