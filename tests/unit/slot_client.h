// A client as NodeSlots sees it, for its tests.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "proxy/routing/node_slots.h"

namespace pgsteer {

struct User : SlotUser {
  void end(EndReason reason, std::string detail) override {
    if (ended == EndReason::kNone) ended = reason;
    why = std::move(detail);
  }
  bool ending() const override { return ended != EndReason::kNone; }
  void resume_soon() override { ++resumed; }
  bool survives_node() const override { return survives; }

  EndReason ended = EndReason::kNone;
  std::string why;
  int resumed = 0;
  bool survives = false;
};

struct Client {
  // `address`: stands for the address that it comes from.
  explicit Client(std::uint64_t number, std::uint64_t address = 0) {
    request.user = &user;
    request.session = number;
    request.client = address;
  }
  User user;
  SlotRequest request;
};

}  // namespace pgsteer
