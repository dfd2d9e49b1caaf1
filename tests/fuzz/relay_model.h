// The two sides of a session for the relay's fuzz target: the requests of a client, and a server
// that answers them as PostgreSQL does, as far as the count of answers is concerned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/wire.h"

namespace pgsteer {

// Bytes without a meaning; some of them look like messages.
inline std::string model_noise(std::uint8_t kind, std::size_t size) {
  static const std::string kPieces = wire::query() + wire::complete() + wire::ready() +
                                     wire::message('c') + wire::message('X') +
                                     wire::report('E', "FATAL", "57P01");
  std::string noise;
  noise.reserve(size + kPieces.size());
  while (noise.size() < size) noise.append(kPieces, kind % kPieces.size());
  noise.resize(size);
  return noise;
}

// The texts of statements say what the server does: c copy in, o copy out, r rows, e error, b
// begin.
inline std::string model_request(std::uint8_t operation, std::uint8_t value) {
  using namespace wire;
  constexpr std::string_view kVerbs = "rcobe";
  const std::string verb(1, kVerbs[value % kVerbs.size()]);
  const std::string sql = verb + std::string(1, static_cast<char>('0' + value % 64));
  if (operation % 12 == 0) {
    switch (value % 8) {
      case 0:
        return message('d', std::string(value * 4U, 'x'));
      case 1:
        return message('d', std::string(200, 'x')) + message('d', std::string(900, 'y'));
      case 2:
        return message('c');
      case 3:
        return message('S');
      case 4:
        return message('c') + message('S');
      case 5:
        return message('f', "no\0"s);
      case 6:
        return message('H');
      default:
        return value == 255 ? message('X') : message('d', std::string(3000, 'z'));
    }
  }
  if (value % 16 == 15) return query(sql + std::string(2000, ' '));
  if (value % 16 == 14) return message('P', sql) + message('B') + message('E', sql) + message('S');
  if (value % 16 == 13) return message('P', sql) + message('B') + message('E', sql);
  return query(sql);
}

class ModelServer {
 public:
  void log_in() { say(wire::message('R', wire::u32(0)) + wire::ready()); }

  const std::string& said() const { return said_; }
  // Bytes of the client that were taken.
  std::size_t taken() const { return taken_; }
  bool is_boundary(std::size_t at) const {
    return at < boundaries_.size() ? boundaries_[at] : at == said_.size();
  }

  // Takes the client's next bytes, and answers what is complete.
  void take(std::string_view bytes) {
    taken_ += bytes.size();
    unread_ += bytes;
    std::size_t at = 0;
    while (unread_.size() - at >= 5) {
      const std::size_t whole = 1 + length_at(at);
      if (unread_.size() - at < whole) break;
      answer(unread_[at], std::string_view(unread_).substr(at + 5, whole - 5));
      at += whole;
    }
    unread_.erase(0, at);
  }

  // Something that nobody asked for now: the rest of an answer, a failed COPY, a notice.
  void speak(std::uint8_t value) {
    if (over_) return;
    if (copy_in_ && value % 4 == 0) return fail();
    if (value == 255) {
      say(wire::report('E', "FATAL", "57P01"));
      over_ = true;
    } else if (value % 4 == 1) {
      say(wire::report('N', "NOTICE", "00000"));
    } else if (value % 4 == 2) {
      say(wire::parameter("TimeZone", "UTC"));
    }
  }

  // Nothing is running, and whoever has read `seen` bytes of what was said has every answer.
  bool idle_after(std::size_t seen) const {
    return seen >= last_ready_ && status_ == 'I' && !copy_in_ && !extended_ && unread_.empty();
  }

 private:
  std::size_t length_at(std::size_t at) const {
    std::size_t length = 0;
    for (std::size_t i = 1; i <= 4; ++i) {
      length = length << 8 | static_cast<unsigned char>(unread_[at + i]);
    }
    return length;
  }

  void answer(char type, std::string_view body) {
    if (over_) return;
    if (copy_in_) return copy(type);
    // After an error in an extended query everything up to the Sync is skipped, and so is, after a
    // COPY that failed, what is left of it.
    if (skips_ && type != 'S') return;
    switch (type) {
      case 'Q':
        return run(body, true);
      case 'E':
        return run(body, false);
      case 'P':
      case 'B':
        extended_ = true;
        return say(wire::message(type == 'P' ? '1' : '2'));
      case 'S':
        extended_ = skips_ = false;
        return ready();
      case 'X':
        over_ = true;
        return;
      default:
        return;
    }
  }

  void run(std::string_view sql, bool simple) {
    simple_ = simple;
    extended_ = !simple;
    const char verb = sql.empty() ? 'r' : sql[0];
    const auto size = sql.size() < 2 ? 0U : static_cast<unsigned>(sql[1] - '0') % 64U;
    if (verb == 'e') return fail();
    if (verb == 'c') {
      copy_in_ = true;
      return say(wire::message('G', std::string(3, '\0')));
    }
    if (verb == 'b') status_ = 'T';
    if (verb == 'r' && status_ == 'T') status_ = 'I';
    if (verb == 'o') {
      std::string all = wire::message('H', std::string(3, '\0'));
      all.reserve(20'000);
      for (unsigned i = 0; i < size; ++i)
        all += wire::message('d', std::string(i * 7U % 300U, 'o'));
      say(all + wire::message('c'));
    } else {
      static const std::string kRow = wire::message('D', std::string(100, 'r'));
      for (unsigned i = 0; i < size; ++i) say(kRow);
    }
    done();
  }

  // copyfromparse.c: Sync and Flush are ignored; anything else that does not belong here fails it.
  void copy(char type) {
    if (type == 'd' || type == 'S' || type == 'H') return;
    copy_in_ = false;
    if (type == 'c') return done();
    fail();
  }

  void done() {
    say(wire::complete());
    if (simple_) ready();
  }
  void fail() {
    copy_in_ = false;
    say(wire::report('E', "ERROR", "22P02"));
    if (status_ == 'T') status_ = 'E';
    if (simple_) return ready();
    skips_ = true;
  }
  void ready() {
    say(wire::ready(status_));
    last_ready_ = said_.size();
    if (status_ == 'E') status_ = 'I';  // so that it ends some day
  }

  void say(std::string_view messages) {
    const std::size_t from = said_.size();
    said_ += messages;
    boundaries_.resize(said_.size(), false);
    for (std::size_t at = from; at < said_.size();) {
      boundaries_[at] = true;
      std::size_t length = 0;
      for (std::size_t i = 1; i <= 4; ++i) {
        length = length << 8 | static_cast<unsigned char>(said_[at + i]);
      }
      at += 1 + length;
    }
  }

  std::string said_;
  std::vector<bool> boundaries_;  // where a message of it begins
  std::string unread_;
  std::size_t taken_ = 0;
  std::size_t last_ready_ = 0;
  char status_ = 'I';
  bool simple_ = true;
  bool extended_ = false;
  bool copy_in_ = false;
  bool skips_ = false;
  bool over_ = false;
};

}  // namespace pgsteer
