// pgsteer: the program. Reads the command line and the configuration, wires the parts, waits for a
// signal.
//
// Exit codes: 0 stopped by a signal, or a check that found nothing; 1 could not start (a port in
// use, a certificate that cannot be read); 2 the configuration or the command line is wrong.
#include <fcntl.h>
#include <openssl/crypto.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "config/clusters.h"
#include "config/parse.h"
#include "health/checkers.h"
#include "proxy/logging.h"
#include "proxy/reloader.h"
#include "proxy/server.h"
#include "stats/server.h"

namespace pgsteer {
namespace {

constexpr int kCannotStart = 1;
constexpr int kBadConfig = 2;

void print_faults(const Parsed& parsed) {
  for (const Diagnostic& fault : parsed.diagnostics)
    std::fprintf(stderr, "%s\n", fault.text().c_str());
}

// Nothing that pgsteer does needs it, and who takes it over would have the machine.
constexpr const char* kRootRemark =
    "runs as root; a user of its own is enough (ports below 1024 need CAP_NET_BIND_SERVICE)";

std::string in_words(const DescriptorBudget& budget) {
  return "descriptor limit " + std::to_string(budget.limit) + ": " +
         std::to_string(budget.clients) + " clients at the same time, " +
         std::to_string(budget.reserved) + " reserved for checks, page, log and cancels";
}

// Two descriptors per session: the soft limit of 1024 that most systems start with is too few.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  // A table of descriptors that threads share is doubled only after a grace period (expand_fdtable
  // in Linux' fs/file.c): in a storm of clients a worker would stand still for 10 ms several times.
  // So it is made large before there are workers; 8 bytes each.
  constexpr rlim_t kReserved = 65'536;
  const auto last = static_cast<int>(std::min(limit.rlim_cur, kReserved)) - 1;
  ::close(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, last));
}

int check(const std::string& path) {
  const Parsed parsed = parse_file(path);
  print_faults(parsed);
  if (::geteuid() == 0)
    std::fprintf(stderr, "%s: warning: pgsteer %s\n", path.c_str(), kRootRemark);
  if (!parsed.ok()) return kBadConfig;
  try {
    make_tls_contexts(Running(parsed.config));
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "%s: %s\n", path.c_str(), problem.what());
    return kBadConfig;
  }
  raise_descriptor_limit();
  const DescriptorBudget budget = process_budget(parsed.config);
  if (!budget.enough()) {
    std::fprintf(stderr, "%s: %s; the least limit is %zu\n", path.c_str(), in_words(budget).c_str(),
                 budget.least_limit());
    return kBadConfig;
  }
  const std::size_t clusters = parsed.config.clusters.size();
  std::printf("%s: no faults: %s%zu nodes, %zu listeners; %s\n", path.c_str(),
              clusters == 1 ? "" : (std::to_string(clusters) + " clusters, ").c_str(),
              parsed.config.nodes.size(), parsed.config.listen.size(), in_words(budget).c_str());
  return 0;
}

// The parts in the order in which they need each other; destroyed the other way round.
class Program {
 public:
  Program(const std::string& path, const Config& config)
      : running_(std::make_shared<const Running>(config)),
        stats_(running_->config.stats, {.traffic = [this] { return server_->traffic(); },
                                        .sessions = [this] { return server_->sessions(); },
                                        .version = PGSTEER_VERSION,
                                        .started = std::chrono::system_clock::now()}),
        checkers_(running_, checkers_output()) {
    server_ = std::make_unique<Server>(
        running_,
        ServerOutput{.suspicion = [this](const Suspicion& d) { checkers_.suspect(d); },
                     .found_writable = [this](std::size_t n) { checkers_.found_writable(n); },
                     .report = [this](const WorkerReport& f) { checkers_.report(f); }});
    reloader_ = std::make_unique<Reloader>(io_, path, running_,
                                           Reloader::Parts{*server_, checkers_, stats_});
  }

  void run() {
    stats_.start();
    server_->start();
    checkers_.start();
    announce();
    asio::signal_set signals(io_, SIGTERM, SIGINT, SIGHUP);
    wait(signals);
    io_.run();
    const ServerConfig& server = reloader_->running().config.server;
    spdlog::info("stopping: no new connections; sessions may finish for {} s",
                 static_cast<double>(server.shutdown_timeout.count()) / 1000);
    // The checkers go on until the last session is gone: they stay fenced.
    server_->stop(server.shutdown_timeout, server.shutdown_timeout_unreadable);
    checkers_.stop();
    stats_.stop();
  }

 private:
  CheckersOutput checkers_output() {
    return {.checker = {.topology = [this](const TopologyPtr& t) { server_->adopt(t); },
                        .cluster = [this](ClusterViewPtr v) { stats_.publish(std::move(v)); },
                        .event = [this](EventView e) { stats_.event(std::move(e)); },
                        .nominated =
                            [this](const std::string& cluster, std::vector<NodeConfig> nodes) {
                              asio::post(io_, [this, cluster, nodes = std::move(nodes)] {
                                reloader_->nominate(cluster, nodes);
                              });
                            }},
            .gone = [this](std::size_t cluster) { stats_.remove(cluster); }};
  }

  void wait(asio::signal_set& signals) {
    signals.async_wait([this, &signals](const std::error_code& error, int signal) {
      if (error) return;
      // Stopping ends whatever else waits there, like a reload that goes on.
      if (signal != SIGHUP) return io_.stop();
      reloader_->ask();
      wait(signals);
    });
  }

  void announce() const {
    for (const ListenConfig& listen : running_->config.listen) {
      for (const BindAddress& bind : listen.bind) {
        spdlog::info("{}listener {} on {} routes to: {}", cluster_prefix(listen.cluster),
                     listen.name, bind.text, to_string(listen.to));
      }
    }
    for (const BindAddress& bind : running_->config.stats.bind) {
      spdlog::info("page and metrics on http://{}/", bind.text);
    }
  }

  const RunningPtr running_;  // at the start
  asio::io_context io_{1};
  StatsServer stats_;
  Checkers checkers_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Reloader> reloader_;
};

int run(const std::string& path) {
  const Parsed parsed = parse_file(path);
  print_faults(parsed);
  if (!parsed.ok()) return kBadConfig;
  start_logging(parsed.config.log);
  ::signal(SIGPIPE, SIG_IGN);
  int code = 0;
  try {
    raise_descriptor_limit();
    spdlog::info("{}", in_words(process_budget(parsed.config)));
    spdlog::info("pgsteer {} starts with {}", PGSTEER_VERSION, path);
    if (::geteuid() == 0) spdlog::warn("pgsteer {}", kRootRemark);
    Program program(path, parsed.config);
    program.run();
    spdlog::info("stopped");
  } catch (const std::exception& problem) {
    spdlog::error("cannot start: {}", problem.what());
    code = kCannotStart;
  }
  stop_logging();
  return code;
}

}  // namespace
}  // namespace pgsteer

int main(int argc, char** argv) {
  CLI::App app{"pgsteer: the one address of a PostgreSQL cluster run by Patroni"};
  std::string config;
  std::string to_check;
  app.set_version_flag("--version", std::string("pgsteer ") + PGSTEER_VERSION);
  app.add_option("-c,--config", config, "Run with this configuration file");
  CLI::App* check = app.add_subcommand("check", "Say what is wrong with a configuration file");
  check->add_option("FILE", to_check, "The file")->required();
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : pgsteer::kBadConfig;
  }
  if (check->parsed()) return pgsteer::check(to_check);
  if (config.empty()) {
    std::fprintf(stderr, "pgsteer: which configuration? Run: pgsteer -c FILE\n");
    return pgsteer::kBadConfig;
  }
  return pgsteer::run(config);
}
