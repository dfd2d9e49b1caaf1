#include "tests/component/fake_postgres.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <random>
#include <stdexcept>

#include "proxy/wire/first_packet.h"
#include "proxy/wire/message_cursor.h"
#include "tests/unit/wire.h"

namespace pgsteer {

namespace {

constexpr char kTlsRecord = 0x16;
constexpr int kOurs = SOCK_STREAM | SOCK_CLOEXEC;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

Address as_address(std::uint16_t port) {
  Address address;
  const sockaddr_in v4 = loopback(port);
  std::memcpy(&address.storage, &v4, sizeof v4);
  address.size = sizeof v4;
  return address;
}

std::string error(std::string_view severity, std::string_view sqlstate, std::string_view text) {
  return wire::report('E', severity, sqlstate, text);
}

std::string row(std::string_view text) {
  return wire::message(
      'D', wire::u16(1) + wire::u32(static_cast<std::uint32_t>(text.size())) + std::string(text));
}

unsigned number_after(const std::string& sql, std::string_view verb) {
  return static_cast<unsigned>(std::strtoul(sql.c_str() + verb.size(), nullptr, 10));
}

}  // namespace

const std::string& copy_block() {
  static const std::string block = [] {
    std::mt19937 random(7);
    std::string out;
    while (out.size() < 1 << 20) {
      std::string body(random() % 9000 + 1, '\0');
      for (char& c : body) c = static_cast<char>(random());
      out += wire::message('d', body);
    }
    return out;
  }();
  return block;
}

FakePostgres::FakePostgres(std::string name)
    : name_(std::move(name)), wakeup_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  static std::atomic<std::uint32_t> servers{0};
  next_pid_ = ++servers * 10'000;
  listen();
  thread_ = std::thread([this] { run(); });
}

FakePostgres::~FakePostgres() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (Connection& c : connections_) c.end.cut();
  }
  changed_.notify_all();
  ::eventfd_write(wakeup_.get(), 1);
  thread_.join();
  for (Connection& c : connections_) c.thread.join();
}

void FakePostgres::listen() {
  const auto bound = [this] {
    UniqueFd fd(::socket(AF_INET, kOurs, 0));
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = loopback(port_);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error(std::string("fake server: ") + std::strerror(errno));
    }
    port_ = port_of(fd.get());
    return fd;
  };
  if (!reserved_) reserved_ = bound();
  listener_ = bound();
  if (::listen(listener_.get(), 1024) != 0) {
    throw std::runtime_error(std::string("fake server: ") + std::strerror(errno));
  }
}

Address FakePostgres::address() const { return as_address(port_); }

void FakePostgres::run() {
  for (;;) {
    std::array<pollfd, 2> ready{{{wakeup_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}}};
    ::poll(ready.data(), listener_ ? 2 : 1, -1);
    std::unique_lock lock(mutex_);
    if (stopping_) return;
    if ((ready[0].revents & POLLIN) != 0) {
      std::uint64_t count = 0;
      ::eventfd_read(wakeup_.get(), &count);
      if (want_listening_ != static_cast<bool>(listener_)) {
        want_listening_ ? listen() : listener_.reset();
        changed_.notify_all();
      }
      continue;
    }
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) continue;
    reap();
    ++connections_seen_;
    Connection& c = connections_.emplace_back();
    c.end = WireEnd(std::move(fd));
    c.thread = std::thread([this, &c] { serve(c); });
  }
}

void FakePostgres::reap() {
  for (auto c = connections_.begin(); c != connections_.end();) {
    if (!c->over) {
      ++c;
      continue;
    }
    c->thread.join();
    c = connections_.erase(c);
  }
}

void FakePostgres::serve(Connection& c) {
  Behaviour b;
  {
    const std::lock_guard lock(mutex_);
    b = behaviour_;
  }
  if (b.script) {
    b.script(c.end);
  } else {
    if (c.end.peek() == kTlsRecord && tls_) c.end.become_tls_server(tls_.get());
    while (const auto head = c.end.receive(kMinStartupPacket)) {
      const std::uint32_t length = load_u32(wire::bytes(*head).data());
      const std::uint32_t code = load_u32(wire::bytes(*head).data() + 4);
      if (length < kMinStartupPacket || length > kMaxStartupPacket) break;
      if (code == kSslRequestCode || code == kGssRequestCode) {
        const char yes_or_no = code == kSslRequestCode ? b.ssl : b.gss;
        {
          const std::lock_guard lock(mutex_);
          if (code == kSslRequestCode) ++ssl_requests_;
        }
        if (yes_or_no == 0) continue;
        if (!c.end.send(std::string(1, yes_or_no))) break;
        if (yes_or_no == 'S' && !c.end.become_tls_server(tls_.get())) break;
        continue;
      }
      const auto rest = c.end.receive(length - kMinStartupPacket);
      if (!rest && length > kMinStartupPacket) break;
      if (code == kCancelRequestCode) {
        take_cancel(*head + *rest);
      } else {
        take_session(c, *head + rest.value_or(""));
      }
      break;
    }
  }
  const std::lock_guard lock(mutex_);
  c.end.close();
  c.in_login = c.logged_in = false;
  c.over = true;
  changed_.notify_all();
}

void FakePostgres::take_cancel(const std::string& packet) {
  const std::lock_guard lock(mutex_);
  CancelSeen seen{load_u32(wire::bytes(packet).data() + 8), packet.substr(kCancelRequestHead)};
  for (Connection& c : connections_) {
    if (!c.over && c.pid == seen.pid && c.key == seen.key) c.cancelled = seen.hit = true;
  }
  cancels_.push_back(std::move(seen));
  changed_.notify_all();
}

void FakePostgres::take_session(Connection& c, const std::string& startup) {
  Behaviour b;
  {
    const std::lock_guard lock(mutex_);
    b = behaviour_;
    startups_.push_back(startup);
    c.in_login = true;
    c.pid = next_pid_++;
    std::mt19937 random(c.pid);
    while (c.key.size() < b.key_size) c.key.push_back(static_cast<char>(random()));
    if (tls_required_ && c.end.tls() == nullptr) {
      b.login = Login::kRefuse;
      b.sqlstate = "28000";
    }
  }
  if (!log_in(c, b)) return;
  {
    const std::lock_guard lock(mutex_);
    c.in_login = false;
    c.logged_in = true;
  }
  if (!c.end.send(wire::ready())) return;
  while (const auto message = c.end.message()) {
    if (message->type == 'X') return;
    if (message->type != 'Q') continue;
    if (!answer(c, message->body.substr(0, message->body.size() - 1))) return;
  }
}

bool FakePostgres::log_in(Connection& c, const Behaviour& b) {
  switch (b.login) {
    case Login::kRefuse:
      c.end.send(error("FATAL", b.sqlstate, "refused by " + name_));
      return false;
    case Login::kSilent:
      c.end.receive(1);
      return false;
    case Login::kClose:
      return false;
    case Login::kReset:
      c.end.cut_with_reset();
      return false;
    case Login::kPassword:
      if (!c.end.send(wire::message('R', wire::u32(3))) || !c.end.message()) return false;
      break;
    case Login::kServe:
    case Login::kHeldBack:
      break;
  }
  if (!c.end.send(wire::message('R', wire::u32(0)))) return false;
  if (b.login == Login::kHeldBack) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, WireEnd::kBound, [this] { return let_in_ > 0 || stopping_; });
    if (let_in_ == 0) return false;
    --let_in_;
  }
  return c.end.send(wire::parameter("server_version", "15.4") +
                    wire::parameter("in_hot_standby", b.in_hot_standby) +
                    wire::message('K', wire::u32(c.pid) + c.key));
}

bool FakePostgres::answer(Connection& c, const std::string& sql) {
  if (sql == "hang") return run_until_cancelled(c);
  if (sql == "half") {
    return c.end.send(row("a row that does not end").substr(0, 12)) && run_until_cancelled(c);
  }
  if (sql == "begin") return c.end.send(wire::complete("BEGIN") + wire::ready('T'));
  if (sql.starts_with("copy out ")) return copy_out(c, number_after(sql, "copy out "));
  if (sql.starts_with("copy in ")) return copy_in(c, number_after(sql, "copy in "));
  if (sql.starts_with("result ")) {
    std::string rows;
    while (rows.size() < std::size_t{number_after(sql, "result ")} << 10) {
      rows += row(std::string(100, 'r'));
    }
    return c.end.send(rows + wire::complete() + wire::ready());
  }
  if (sql.starts_with("fatal ")) {
    c.end.send(error("FATAL", sql.substr(6), "terminating connection due to a test"));
    return false;
  }
  return c.end.send(row(sql == "name" ? name_ : sql) + wire::complete() + wire::ready());
}

bool FakePostgres::run_until_cancelled(Connection& c) {
  {
    std::unique_lock lock(mutex_);
    const bool done =
        changed_.wait_for(lock, WireEnd::kBound, [&] { return c.cancelled || stopping_; });
    if (!done || stopping_) return false;
    c.cancelled = false;
  }
  return c.end.send(error("ERROR", "57014", "canceling statement due to user request") +
                    wire::ready());
}

bool FakePostgres::copy_out(Connection& c, unsigned blocks) {
  c.end.slow_buffers();
  if (!c.end.send(wire::message('H', std::string("\0\0\0", 3)))) return false;
  for (unsigned i = 0; i < blocks; ++i) {
    if (!c.end.send(copy_block())) return false;
    copied_out_ += copy_block().size();
  }
  return c.end.send(wire::message('c') + wire::complete("COPY") + wire::ready());
}

bool FakePostgres::copy_in(Connection& c, unsigned blocks) {
  if (!c.end.send(wire::message('G', std::string("\0\0\0", 3)))) return false;
  bool intact = true;
  for (unsigned i = 0; i < blocks; ++i) {
    const auto block = c.end.receive(copy_block().size());
    if (!block) return false;
    intact = intact && *block == copy_block();
  }
  const auto done = c.end.message();
  intact = intact && done && done->type == 'c';
  return c.end.send(wire::complete(intact ? "COPY intact" : "COPY spoilt") + wire::ready());
}

// -------------------------------------------------------------------------------------------------
// Called by the test

void FakePostgres::set(Behaviour behaviour) {
  const std::lock_guard lock(mutex_);
  behaviour_ = std::move(behaviour);
}

void FakePostgres::use_tls(TestCertificates::Context context, bool required) {
  const std::lock_guard lock(mutex_);
  tls_ = std::move(context);
  tls_required_ = required;
  behaviour_.ssl = 'S';
}

void FakePostgres::refuse() {
  std::unique_lock lock(mutex_);
  want_listening_ = false;
  ::eventfd_write(wakeup_.get(), 1);
  changed_.wait(lock, [this] { return !listener_; });
}

void FakePostgres::accept() {
  std::unique_lock lock(mutex_);
  want_listening_ = true;
  ::eventfd_write(wakeup_.get(), 1);
  changed_.wait(lock, [this] { return static_cast<bool>(listener_); });
}

void FakePostgres::let_in(unsigned logins) {
  const std::lock_guard lock(mutex_);
  let_in_ += logins;
  changed_.notify_all();
}

void FakePostgres::close_all() {
  const std::lock_guard lock(mutex_);
  for (Connection& c : connections_) {
    if (!c.over) c.end.cut();
  }
}

void FakePostgres::reset_all() {
  const std::lock_guard lock(mutex_);
  for (Connection& c : connections_) {
    if (!c.over) c.end.cut_with_reset();
  }
}

template <class Count>
unsigned FakePostgres::count(Count&& counts) const {
  const std::lock_guard lock(mutex_);
  return static_cast<unsigned>(std::count_if(connections_.begin(), connections_.end(), counts));
}

unsigned FakePostgres::open() const {
  return count([](const Connection& c) { return !c.over; });
}
unsigned FakePostgres::logged_in() const {
  return count([](const Connection& c) { return c.logged_in; });
}
unsigned FakePostgres::in_login() const {
  return count([](const Connection& c) { return c.in_login; });
}

unsigned FakePostgres::connections() const {
  const std::lock_guard lock(mutex_);
  return connections_seen_;
}

unsigned FakePostgres::ssl_requests() const {
  const std::lock_guard lock(mutex_);
  return ssl_requests_;
}

std::vector<std::string> FakePostgres::startups() const {
  const std::lock_guard lock(mutex_);
  return startups_;
}

std::vector<FakePostgres::CancelSeen> FakePostgres::cancels() const {
  const std::lock_guard lock(mutex_);
  return cancels_;
}

// -------------------------------------------------------------------------------------------------

StuckPort::StuckPort() : listener_(::socket(AF_INET, kOurs, 0)) {
  const sockaddr_in any = loopback(0);
  ::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any);
  ::listen(listener_.get(), 0);
  const sockaddr_in here = loopback(port_of(listener_.get()));
  // Connect until one handshake gets no answer.
  for (int i = 0; i < 8; ++i) {
    fillers_.emplace_back(::socket(AF_INET, kOurs | SOCK_NONBLOCK, 0));
    ::connect(fillers_.back().get(), reinterpret_cast<const sockaddr*>(&here), sizeof here);
    pollfd connected{fillers_.back().get(), POLLOUT, 0};
    if (::poll(&connected, 1, 20) == 0) return;
  }
  throw std::runtime_error("the queue of a listening socket does not fill");
}

Address StuckPort::address() const { return as_address(port_of(listener_.get())); }

}  // namespace pgsteer
