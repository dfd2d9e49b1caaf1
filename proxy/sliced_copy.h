// Copies of a long list, a bounded part per turn of the loop, so that nobody waits while thousands
// of sessions are described. Items may leave the list between two parts. Owned by a worker and used
// on its thread.
//
//   Item   has `next`, the item that follows in the list, or null
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace pgsteer {

template <class Item, class View>
class SlicedCopy {
 public:
  using Describe = std::function<View(const Item&)>;
  using Done = std::function<void(std::vector<View>)>;

  // Items described in one step, for all copies together.
  static constexpr std::size_t kPerStep = 128;

  explicit SlicedCopy(Describe describe) : describe_(std::move(describe)) {}

  // Begins a copy of the list from `first` on, about `size` long; the next steps make it. `done`
  // gets it. What joins the list in front of `first` meanwhile is not part of it.
  void begin(const Item* first, std::size_t size, Done done) {
    Copy copy{.next = first, .views = {}, .done = std::move(done)};
    copy.views.reserve(size);
    copies_.push_back(std::move(copy));
  }

  // `item` is about to leave the list.
  void leaves(const Item& item) {
    for (Copy& copy : copies_) {
      if (copy.next == &item) copy.next = item.next;
    }
  }

  bool pending() const { return !copies_.empty(); }

  // The next part of the oldest copy.
  void step() {
    std::size_t left = kPerStep;
    while (pending() && left > 0) {
      Copy& copy = copies_.front();
      for (; copy.next != nullptr && left > 0; --left) {
        copy.views.push_back(describe_(*copy.next));
        copy.next = copy.next->next;
      }
      if (copy.next != nullptr) return;
      Copy complete = std::move(copy);
      copies_.erase(copies_.begin());
      complete.done(std::move(complete.views));
    }
  }

  // Hands over what there is.
  void finish() {
    while (pending()) step();
  }

 private:
  struct Copy {
    const Item* next;
    std::vector<View> views;
    Done done;
  };

  const Describe describe_;
  std::vector<Copy> copies_;
};

}  // namespace pgsteer
