#include <fcntl.h>
#include <liburing.h>
#include <sys/socket.h>

#include <cerrno>
#include <deque>
#include <memory>
#include <system_error>
#include <vector>

#include "bench/experiments/relay.h"

namespace pgsteer {
namespace {

constexpr unsigned kEntries = 2048;
constexpr unsigned kFiles = 16384;
constexpr unsigned kBuffers = 64;  // of kRelayBuffer each, for multishot; a power of two
constexpr int kGroup = 0;

void check(int result, const char* what) {
  if (result < 0) throw std::system_error(-result, std::generic_category(), what);
}

struct Session;

// One direction.
struct Direction {
  Session* session = nullptr;
  int from = -1;
  int to = -1;
  std::unique_ptr<char[]> buffer;  // Receive::kOnce
  struct Chunk {
    unsigned short buffer;
    std::size_t size;
  };
  std::deque<Chunk> chunks;  // Receive::kMultishot; the first one is being sent
};

struct Session {
  Pair pair;
  Direction to_server;
  Direction to_client;
  int pending = 0;  // completions still to come for this session
  bool over = false;
};

// The lowest bits of user_data; the rest points to the Direction.
enum Kind : std::uintptr_t { kAccept, kReceive, kSend, kKinds };
static_assert(alignof(Direction) >= 4 && kKinds <= 4);

class UringRelay {
 public:
  UringRelay(const Address& listen, const Address& target, Receive receive)
      : listener_(listen_on(listen)), target_(target), multishot_(receive == Receive::kMultishot) {
    fcntl(listener_.get(), F_SETFL, 0);  // a ring does not wait for a non-blocking socket
    set_up();
    if (multishot_) share_buffers();
  }

  [[noreturn]] void run() {
    io_uring_prep_multishot_accept(entry(), listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    for (;;) {
      const int result = io_uring_submit_and_wait(&ring_, 1);
      if (result != -EINTR && result != -EBUSY) check(result, "io_uring_enter");
      io_uring_cqe* cqe = nullptr;
      unsigned head = 0;
      unsigned seen = 0;
      io_uring_for_each_cqe(&ring_, head, cqe) {
        on_completion(*cqe);
        ++seen;
      }
      io_uring_cq_advance(&ring_, seen);
    }
  }

 private:
  // Completions run only when this thread asks for them (Linux 6.1), or at least without
  // interrupting it (5.19).
  void set_up() {
    for (const unsigned flags :
         {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_COOP_TASKRUN}) {
      io_uring_params params{};
      params.flags = flags | IORING_SETUP_CQSIZE;
      params.cq_entries = 4 * kEntries;
      const int result = io_uring_queue_init_params(kEntries, &ring_, &params);
      if (result == -EINVAL && flags != IORING_SETUP_COOP_TASKRUN) continue;
      check(result, "io_uring_setup");
      break;
    }
    check(io_uring_register_ring_fd(&ring_), "registering the ring");
    check(io_uring_register_files_sparse(&ring_, kFiles), "registering files");
  }

  void share_buffers() {
    memory_ = std::make_unique<char[]>(kBuffers * kRelayBuffer);
    void* at = nullptr;
    if (posix_memalign(&at, 4096, kBuffers * sizeof(io_uring_buf)) != 0) throw std::bad_alloc();
    shared_ = static_cast<io_uring_buf_ring*>(at);
    io_uring_buf_ring_init(shared_);
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uintptr_t>(at);
    registration.ring_entries = kBuffers;
    registration.bgid = kGroup;
    check(io_uring_register_buf_ring(&ring_, &registration, 0), "registering buffers");
    for (unsigned short i = 0; i < kBuffers; ++i) give_back(i);
  }

  io_uring_sqe* entry(unsigned room = 1) {
    if (io_uring_sq_space_left(&ring_) < room) check(io_uring_submit(&ring_), "io_uring_enter");
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) throw std::system_error(EBUSY, std::generic_category(), "io_uring");
    return sqe;
  }

  static void mark(io_uring_sqe* sqe, Direction& direction, Kind kind, unsigned flags) {
    io_uring_sqe_set_flags(sqe, flags | IOSQE_FIXED_FILE);
    io_uring_sqe_set_data64(sqe, reinterpret_cast<std::uintptr_t>(&direction) | kind);
  }

  void on_completion(const io_uring_cqe& cqe) {
    const auto data = static_cast<std::uintptr_t>(cqe.user_data);
    Direction* direction = reinterpret_cast<Direction*>(data & ~std::uintptr_t{3});
    const Kind kind = static_cast<Kind>(data & 3);
    if (kind == kAccept) return on_accept(cqe.res);
    // A linked send reports a completion only if it fails; the receive behind it is then cancelled.
    if (kind == kSend && !multishot_) return;
    if ((cqe.flags & IORING_CQE_F_MORE) == 0) --direction->session->pending;
    if (kind == kSend) {
      on_sent(*direction, cqe.res);
    } else if (multishot_) {
      on_chunk(*direction, cqe);
    } else {
      on_received(*direction, cqe);
    }
    delete_if_over(direction->session);
  }

  void on_accept(int fd) {
    check(fd, "accept");
    Pair pair = open_pair(Fd(fd), target_, false);
    if (pair.client.get() < 0) return;
    auto* session = new Session{.pair = std::move(pair), .to_server = {}, .to_client = {}};
    int client = session->pair.client.get();
    int server = session->pair.server.get();
    for (int one : {client, server}) {
      check(io_uring_register_files_update(&ring_, static_cast<unsigned>(one), &one, 1), "a file");
    }
    begin(*session, session->to_server, client, server);
    begin(*session, session->to_client, server, client);
  }

  void begin(Session& session, Direction& direction, int from, int to) {
    direction.session = &session;
    direction.from = from;
    direction.to = to;
    if (!multishot_) direction.buffer = std::make_unique<char[]>(kRelayBuffer);
    receive(direction, true);
  }

  // `wait`: no data is expected yet, so poll the socket before the first receive.
  void receive(Direction& direction, bool wait) {
    io_uring_sqe* sqe = entry();
    if (multishot_) {
      io_uring_prep_recv_multishot(sqe, direction.from, nullptr, 0, 0);
      sqe->buf_group = kGroup;
    } else {
      io_uring_prep_recv(sqe, direction.from, direction.buffer.get(), kRelayBuffer, 0);
    }
    if (wait) sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    mark(sqe, direction, kReceive, multishot_ ? IOSQE_BUFFER_SELECT : 0);
    ++direction.session->pending;
  }

  void on_received(Direction& direction, const io_uring_cqe& cqe) {
    if (cqe.res <= 0 || direction.session->over) return finish(*direction.session);
    io_uring_sqe* sqe = entry(2);
    io_uring_prep_send(sqe, direction.to, direction.buffer.get(), static_cast<std::size_t>(cqe.res),
                       MSG_WAITALL | MSG_NOSIGNAL);
    mark(sqe, direction, kSend, IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS);
    receive(direction, (cqe.flags & IORING_CQE_F_SOCK_NONEMPTY) == 0);
  }

  void on_chunk(Direction& direction, const io_uring_cqe& cqe) {
    const bool ended = (cqe.flags & IORING_CQE_F_MORE) == 0;
    if (cqe.res == -ENOBUFS && !direction.session->over) {
      starved_.push_back(&direction);
      return;
    }
    if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
      const auto buffer = static_cast<unsigned short>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
      direction.chunks.push_back({.buffer = buffer, .size = static_cast<std::size_t>(cqe.res)});
    }
    if (cqe.res <= 0 || direction.session->over) return finish(*direction.session);
    if (direction.chunks.size() == 1) send_first(direction);
    if (ended) receive(direction, false);
  }

  void send_first(Direction& direction) {
    const Direction::Chunk& chunk = direction.chunks.front();
    io_uring_sqe* sqe = entry();
    io_uring_prep_send(sqe, direction.to, memory_.get() + chunk.buffer * kRelayBuffer, chunk.size,
                       MSG_WAITALL | MSG_NOSIGNAL);
    mark(sqe, direction, kSend, 0);
    ++direction.session->pending;
  }

  void on_sent(Direction& direction, int result) {
    if (result < 0 || direction.session->over) return finish(*direction.session);
    give_back(direction.chunks.front().buffer);
    direction.chunks.pop_front();
    if (!direction.chunks.empty()) send_first(direction);
    resume_starved();
  }

  void give_back(unsigned short buffer) {
    io_uring_buf_ring_add(shared_, memory_.get() + buffer * kRelayBuffer, kRelayBuffer, buffer,
                          io_uring_buf_ring_mask(kBuffers), 0);
    io_uring_buf_ring_advance(shared_, 1);
  }

  void resume_starved() {
    for (Direction* direction : starved_) receive(*direction, false);
    starved_.clear();
  }

  static void finish(Session& session) {
    if (session.over) return;
    session.over = true;
    for (const Fd* fd : {&session.pair.client, &session.pair.server}) {
      shutdown(fd->get(), SHUT_RDWR);  // ends the pending receives
    }
  }

  void delete_if_over(Session* session) {
    if (!session->over || session->pending > 0) return;
    for (Direction* direction : {&session->to_server, &session->to_client}) {
      for (const Direction::Chunk& chunk : direction->chunks) give_back(chunk.buffer);
      std::erase(starved_, direction);
    }
    for (const Fd* fd : {&session->pair.client, &session->pair.server}) {
      int none = -1;
      io_uring_register_files_update(&ring_, static_cast<unsigned>(fd->get()), &none, 1);
    }
    delete session;
    resume_starved();
  }

  io_uring ring_{};
  Fd listener_;
  Address target_;
  const bool multishot_;
  std::unique_ptr<char[]> memory_;
  io_uring_buf_ring* shared_ = nullptr;
  std::vector<Direction*>
      starved_;  // found no free buffer; they receive again when one is returned
};

}  // namespace

void relay_by_uring(const Address& listen, const Address& target, Receive receive) {
  UringRelay(listen, target, receive).run();
}

}  // namespace pgsteer
