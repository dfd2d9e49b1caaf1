#include "bench/load/wire.h"

namespace pgsteer {
namespace {

void put16(std::string& out, std::uint32_t value) {
  out += static_cast<char>(value >> 8 & 0xff);
  out += static_cast<char>(value & 0xff);
}

void put32(std::string& out, std::uint32_t value) {
  put16(out, value >> 16);
  put16(out, value & 0xffff);
}

std::string message(char type, std::string_view body) {
  std::string out(1, type);
  put32(out, static_cast<std::uint32_t>(body.size() + 4));
  return out.append(body);
}

std::string text(std::string_view value) { return std::string(value) + '\0'; }

std::string parameter(std::string_view name, std::string_view value) {
  return message('S', text(name) + text(value));
}

std::string ready() { return message('Z', "I"); }

}  // namespace

std::uint32_t read_be32(const char* at) {
  const auto* byte = reinterpret_cast<const unsigned char*>(at);
  return std::uint32_t{byte[0]} << 24 | std::uint32_t{byte[1]} << 16 | std::uint32_t{byte[2]} << 8 |
         std::uint32_t{byte[3]};
}

std::string startup_packet() {
  constexpr std::uint32_t kProtocol30 = 3 << 16;
  std::string body;
  put32(body, kProtocol30);
  for (std::string_view word : {"user", "bench", "database", "bench", "client_encoding", "UTF8"}) {
    body += text(word);
  }
  body += '\0';
  std::string out;
  put32(out, static_cast<std::uint32_t>(body.size() + 4));
  return out + body;
}

std::string query(std::string_view sql) { return message('Q', text(sql)); }

std::string terminate() { return message('X', ""); }

std::string login_reply(std::uint32_t backend, std::uint32_t key) {
  std::string ok;
  put32(ok, 0);
  std::string key_data;
  put32(key_data, backend);
  put32(key_data, key);
  return message('R', ok) + parameter("server_version", "15.0") +
         parameter("server_encoding", "UTF8") + parameter("client_encoding", "UTF8") +
         parameter("DateStyle", "ISO, MDY") + parameter("TimeZone", "Etc/UTC") +
         parameter("integer_datetimes", "on") + parameter("standard_conforming_strings", "on") +
         parameter("application_name", "") + parameter("in_hot_standby", "off") +
         parameter("default_transaction_read_only", "off") + message('K', key_data) + ready();
}

std::string small_reply(std::size_t value_bytes) {
  constexpr std::uint32_t kInt4 = 23;
  std::string columns;
  put16(columns, 1);
  columns += text("abalance");
  put32(columns, 16384);       // table
  put16(columns, 3);           // attribute
  put32(columns, kInt4);       // type
  put16(columns, 4);           // its size
  put32(columns, 0xffffffff);  // no modifier
  put16(columns, 0);           // text
  std::string row;
  put16(row, 1);
  put32(row, static_cast<std::uint32_t>(value_bytes));
  row.append(value_bytes, '7');
  return message('T', columns) + message('D', row) + message('C', text("SELECT 1")) + ready();
}

std::string copy_response(char type, std::uint16_t columns) {
  std::string body(1, '\0');  // textual
  put16(body, columns);
  for (int i = 0; i < columns; ++i) put16(body, 0);
  return message(type, body);
}

std::string copy_end(std::uint64_t rows) {
  return message('C', text("COPY " + std::to_string(rows))) + ready();
}

std::string copy_rows(std::uint32_t row_bytes, std::size_t at_least) {
  std::string row(row_bytes, 'x');
  if (!row.empty()) row.back() = '\n';
  const std::string one = message('d', row);
  std::string out;
  while (out.size() < at_least) out += one;
  return out;
}

std::string copy_done() { return message('c', ""); }

}  // namespace pgsteer
