// A session as its two message streams see it, for the tests of the count of answers.
#pragma once

#include <string>
#include <string_view>

#include "proxy/wire/message.h"
#include "tests/unit/wire.h"

namespace pgsteer::message_test {

using namespace wire;

inline const std::string kSync = message('S');
inline const std::string kFlush = message('H');
inline const std::string kParse = message('P', "\0select 1\0\0\0"s);
inline const std::string kBind = message('B', std::string(8, '\0'));
inline const std::string kExecute = message('E', std::string(5, '\0'));
inline const std::string kExtended = kParse + kBind + kExecute;
inline const std::string kCopyIn = message('G', std::string(3, '\0'));
inline const std::string kCopyBoth = message('W', std::string(3, '\0'));
inline const std::string kData = message('d', "1\tone\n");
inline const std::string kCopyDone = message('c');
inline const std::string kCopyFail = message('f', "no\0"s);
inline const std::string kError = report('E', "ERROR", "22P02");
inline const std::string kRows = message('T', "columns") + message('D', "row");
inline const std::string kReply = kRows + complete() + ready();

// A session after its login.
struct Session {
  ServerStream server;
  ClientStream client;

  Session() { from_server(message('R', u32(0)) + message('K', u32(1) + "keys") + ready()); }
  void from_client(std::string_view text) { client.advance(bytes(text)); }
  void from_server(std::string_view text) { server.advance(bytes(text), client); }
  bool is_idle() const { return idle(server, client); }
};

}  // namespace pgsteer::message_test
