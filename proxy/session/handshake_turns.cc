#include "proxy/session/handshake_turns.h"

namespace pgsteer {

HandshakeTurns::Turn::Turn(HandshakeTurns& turns, Waiter& waiter, std::uint64_t client)
    : turns_(turns), waiter_(waiter), client_(client) {
  turns.loop_.wake(turns);
  if (turns.rows_.empty() && turns.taken_ < kPerTurn) {
    ++turns.taken_;
    granted_ = true;
    return;
  }
  std::list<Turn*>& row = turns.rows_[client];
  at_ = row.insert(row.end(), this);
}

HandshakeTurns::Turn::~Turn() {
  if (!granted_) turns_.remove(*this);
}

void HandshakeTurns::remove(const Turn& turn) {
  const auto row = rows_.find(turn.client_);
  row->second.erase(turn.at_);
  if (row->second.empty()) rows_.erase(row);
}

// The oldest of the client address that comes after the last one.
HandshakeTurns::Turn& HandshakeTurns::take_next() {
  auto row = rows_.upper_bound(last_client_);
  if (row == rows_.end()) row = rows_.begin();
  last_client_ = row->first;
  Turn& next = *row->second.front();
  remove(next);
  next.granted_ = true;
  return next;
}

void HandshakeTurns::on_wakeup() {
  for (taken_ = 0; taken_ < kPerTurn && !rows_.empty(); ++taken_) take_next().waiter_.resume();
  if (taken_ > 0) loop_.wake(*this);
}

}  // namespace pgsteer
