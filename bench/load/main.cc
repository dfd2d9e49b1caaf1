// pgsteer_load: the benchmark's source and client (see bench/README.md).
#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <string>

#include "bench/load/client.h"
#include "bench/load/source.h"

namespace pgsteer {
namespace {

void add_address(CLI::App* app, const std::string& name, Address& into, const std::string& help) {
  app->add_option_function<std::string>(
         name,
         [&into, name](const std::string& text) {
           const auto address = parse_address(text);
           if (!address) throw CLI::ValidationError(name, "not an IPv4 ADDRESS:PORT: " + text);
           into = *address;
         },
         help)
      ->required();
}

using Measure = nlohmann::json (*)(const ClientOptions&);

int run(int argc, char** argv) {
  CLI::App app(
      "A minimal PostgreSQL server (source), and a client that measures a proxy in front of it");
  app.require_subcommand(1);

  SourceOptions source;
  auto* serve = app.add_subcommand("source", "a server that uses very little CPU itself");
  add_address(serve, "--listen", source.listen, "address of the PostgreSQL server");
  add_address(serve, "--rest", source.rest, "address of Patroni's REST API");
  serve->add_flag("!--replica", source.primary, "the REST API reports a replica");
  serve->add_option("--reply-bytes", source.reply_bytes, "size of the value in every small reply")
      ->check(CLI::Range(1, 65536));
  serve->add_option("--loops", source.loops, "threads for small sessions")
      ->check(CLI::Range(1, 64));

  ClientOptions client;
  bool send = false;
  const std::map<std::string, std::pair<Measure, std::string>> measures = {
      {"round-trips", {measure_round_trips, "small queries on --sessions sessions"}},
      {"stream", {measure_stream, "one long COPY"}},
      {"logins", {measure_logins, "connect, log in, disconnect; --sessions at a time"}},
      {"storm", {measure_storm, "--sessions logins at once"}},
      {"idle", {measure_idle, "open --sessions and measure the proxy's memory"}},
      {"cut", {measure_cut, "take the role away from the node that --sessions are on"}}};
  for (const auto& [name, measure] : measures) {
    auto* command = app.add_subcommand(name, measure.second);
    add_address(command, "--target", client.target,
                "address of the proxy, or of the source itself");
    command->add_option("--watch", client.watched, "the proxy's process ids");
    command->add_option("--load", client.load, "the source's process ids");
    command->add_option("--sessions", client.sessions)->check(CLI::Range(1, 20000));
    command->add_option("--threads", client.threads)->check(CLI::Range(1, 64));
    command->add_option("--seconds", client.seconds, "the measured window")
        ->check(CLI::Range(0.1, 600.0));
    command->add_option("--warm-up", client.warm_up)->check(CLI::Range(0.0, 60.0));
    command->add_option("--rate", client.rate, "round trips per second in total; 0: closed loop");
    command->add_option("--row-bytes", client.row_bytes)->check(CLI::Range(1, 1 << 20));
    command->add_flag("--send", send, "stream from the client to the server");
    command->add_flag("--beside-stream", client.beside_stream,
                      "run one long COPY at the same time");
  }
  auto* cut = app.get_subcommand("cut");
  add_address(cut, "--beside", client.beside, "another address, whose sessions stay");
  add_address(cut, "--rest", client.rest, "the node's REST API, used to change its role");
  cut->add_option("--busy", client.busy, "how many of --sessions send queries, --rate in total");

  CLI11_PARSE(app, argc, argv);

  if (serve->parsed()) run_source(source);
  client.receive = !send;
  const auto& measure = measures.at(app.get_subcommands().front()->get_name());
  std::puts(measure.first(client).dump().c_str());
  return 0;
}

}  // namespace
}  // namespace pgsteer

int main(int argc, char** argv) {
  try {
    return pgsteer::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pgsteer_load: %s\n", error.what());
    return 1;
  }
}
