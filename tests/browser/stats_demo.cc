// Serves the status page with a canned state, for looking at it and for tests/browser.
//
//   stats_demo STATE [PORT]     prints "http://127.0.0.1:PORT/" once it listens
//
// A line on standard input is the name of the next state; its end ends the program.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>
#include <mutex>
#include <string>

#include "stats/server.h"
#include "tests/browser/scenarios.h"

namespace {

using pgsteer::Scene;
using pgsteer::WallTime;

bool known(const std::string& name) {
  const auto& names = pgsteer::scene_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The state shown; the HTTP threads read it while main changes it.
class Stage {
 public:
  explicit Stage(std::string name) : name_(std::move(name)) {}

  void change(std::string name) {
    const std::lock_guard lock(mutex_);
    name_ = std::move(name);
  }

  Scene scene() const {
    const std::lock_guard lock(mutex_);
    const WallTime now = std::chrono::system_clock::now();
    return pgsteer::make_scene(name_, now, std::chrono::duration<double>(now - began_).count());
  }

 private:
  mutable std::mutex mutex_;
  std::string name_;
  const WallTime began_ = std::chrono::system_clock::now();
};

// One line of standard input if there is one within 200 ms. False: it has ended.
bool next_line(std::string& line) {
  pollfd descriptor{STDIN_FILENO, POLLIN, 0};
  line.clear();
  if (poll(&descriptor, 1, 200) <= 0) return true;
  return static_cast<bool>(std::getline(std::cin, line));
}

void show_clusters(pgsteer::StatsServer& server, const Scene& scene) {
  server.publish(scene.cluster);
  if (scene.second) {
    server.publish(scene.second);
  } else {
    server.remove(1);
  }
}

int run(const std::string& state, std::uint16_t port) {
  std::setvbuf(stdin, nullptr, _IONBF, 0);  // poll sees only what no buffer has taken
  Stage stage(state);
  pgsteer::StatsConfig config;
  config.bind.push_back({"127.0.0.1:" + std::to_string(port), "127.0.0.1", port, ""});
  pgsteer::StatsSources sources;
  sources.traffic = [&] { return stage.scene().traffic; };
  sources.sessions = [&] { return stage.scene().sessions; };
  sources.version = "0.1.0";
  sources.started = std::chrono::system_clock::now() - std::chrono::hours(79);
  pgsteer::StatsServer server(config, std::move(sources));
  for (const pgsteer::EventView& event : stage.scene().events) server.event(event);
  server.publish(stage.scene().config);
  show_clusters(server, stage.scene());
  server.start();
  std::printf("http://127.0.0.1:%u/\n", server.ports().front());
  std::fflush(stdout);
  for (std::string line; next_line(line);) {
    const bool changed = known(line);
    if (changed) stage.change(line);
    server.publish(stage.scene().config);
    show_clusters(server, stage.scene());
    // Last: whoever sees the event sees the new state too.
    if (changed) {
      server.event(
          {std::chrono::system_clock::now(), pgsteer::Severity::kInfo, "the state is now " + line});
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string state = argc > 1 ? argv[1] : "healthy";
  if (!known(state)) {
    std::fprintf(stderr, "stats_demo: no such state: %s\n", state.c_str());
    return 2;
  }
  try {
    return run(state, static_cast<std::uint16_t>(argc > 2 ? std::stoul(argv[2]) : 0));
  } catch (const std::exception& fault) {
    std::fprintf(stderr, "stats_demo: %s\n", fault.what());
    return 1;
  }
}
