// A coroutine that runs on one worker thread and returns one value to the coroutine that awaits it.
//
// Sessions use this instead of asio::awaitable because it is smaller: an idle session holds only
// its suspended frames, a few hundred bytes, and resuming is one indirect call. A task starts when
// it is awaited (the outermost one by start()) and is destroyed with its Task object. It must not
// throw: an exception in a session is a bug and ends the process.
//
// g++ 12 lays out some frames wrongly when optimizing: a co_await in the condition of a loop, or
// directly in a switch, can put a temporary before the frame's head. Every handle made from the
// promise is then off by the size of that temporary, and the coroutine never runs. So never
// co_await in those places; get_return_object() checks every frame and ends the process instead of
// hanging.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <new>
#include <utility>

namespace pgsteer {

template <class T>
class [[nodiscard]] Task {
 public:
  struct promise_type {
    T value{};
    std::coroutine_handle<> continuation = std::noop_coroutine();

    static void* operator new(std::size_t size) { return newest_frame = ::operator new(size); }
    static void operator delete(void* frame) { ::operator delete(frame); }

    Task get_return_object() {
      const auto handle = std::coroutine_handle<promise_type>::from_promise(*this);
      if (handle.address() != newest_frame) std::terminate();  // see above
      return Task(handle);
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct ToContinuation {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> done) noexcept {
          return done.promise().continuation;
        }
        void await_resume() noexcept {}
      };
      return ToContinuation{};
    }
    void return_value(T result) { value = std::move(result); }
    void unhandled_exception() { std::terminate(); }
  };

  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  // Runs the outermost task up to its first suspension.
  void start() { handle_.resume(); }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    handle_.promise().continuation = awaiting;
    return handle_;
  }
  T await_resume() { return std::move(handle_.promise().value); }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}

  static thread_local inline void* newest_frame = nullptr;
  std::coroutine_handle<promise_type> handle_ = nullptr;
};

}  // namespace pgsteer
