#include "config/changes.h"

#include <algorithm>
#include <optional>

#include "config/clusters.h"

namespace pgsteer {

namespace {

class Comparison {
 public:
  Comparison(const Config& running, const Config& read)
      : running_(running), read_(read), origins_(cluster_origins(running, read)) {}

  std::vector<ConfigChange> run() {
    clusters();
    entries(Section::kNode, running_.nodes, read_.nodes);
    entries(Section::kListen, running_.listen, read_.listen);
    for (const SectionInfo& info : sections()) {
      if (!info.repeated) values(info.section, std::string(info.name) + ".", 0, 0);
    }
    return std::move(changes_);
  }

 private:
  // Every cluster has its own pg-1; the names of listeners are unique.
  static std::string title(const NodeConfig& node) {
    return "node \"" + (node.cluster.empty() ? "" : node.cluster + "/") + node.name + "\"";
  }
  static std::string title(const ListenConfig& listen) {
    return "listener \"" + listen.name + "\"";
  }
  static std::string title(const ClusterConfig& cluster) {
    return cluster.name.empty() ? "the cluster without a name" : "cluster \"" + cluster.name + "\"";
  }

  void say(const std::string& text) { changes_.push_back({text, Reload::kIdentity}); }

  void clusters() {
    for (std::size_t i = 0; i < running_.clusters.size(); ++i) {
      const bool gone = std::ranges::find(origins_, std::optional(i)) == origins_.end();
      if (gone && !running_.clusters[i].leaving) say(title(running_.clusters[i]) + " is removed");
    }
    for (std::size_t i = 0; i < read_.clusters.size(); ++i) {
      const ClusterConfig& cluster = read_.clusters[i];
      if (!origins_[i]) {
        say(title(cluster) + " is new");
        continue;
      }
      const ClusterConfig& old = running_.clusters[*origins_[i]];
      if (old.leaving) say(title(cluster) + " is back");
      if (old.name != cluster.name) {
        say(title(old) + (cluster.name.empty() ? " has no name any more"
                                               : " is now named \"" + cluster.name + "\""));
      }
      if (!old.leaving) values(Section::kCluster, title(cluster) + ": ", *origins_[i], i);
    }
  }

  bool same(const NodeConfig& old, const NodeConfig& read) const {
    return old.name == read.name && origins_[cluster_index(read_, read.cluster)] ==
                                        std::optional(cluster_index(running_, old.cluster));
  }
  static bool same(const ListenConfig& old, const ListenConfig& read) {
    return old.name == read.name;
  }

  template <class Entry>
  void entries(Section section, const std::vector<Entry>& before, const std::vector<Entry>& after) {
    for (const Entry& old : before) {
      const auto stays = [&](const Entry& read) { return same(old, read); };
      if (!old.leaving && std::ranges::none_of(after, stays)) say(title(old) + " is removed");
    }
    for (const Entry& read : after) {
      const auto old =
          std::ranges::find_if(before, [&](const Entry& each) { return same(each, read); });
      if (old == before.end()) {
        say(title(read) + " is new");
      } else if (old->leaving) {
        say(title(read) + " is back");
      } else {
        values(section, title(read) + ": ", static_cast<std::size_t>(old - before.begin()),
               static_cast<std::size_t>(&read - after.data()));
      }
    }
  }

  void values(Section section, const std::string& where, std::size_t before, std::size_t after) {
    for (const Setting& setting : settings()) {
      if (setting.section != section || setting.same(running_, before, read_, after)) continue;
      if (renamed(setting, before, after)) continue;
      const std::string was = setting.write(running_, before);
      const std::string is = setting.write(read_, after);
      // A secret is written as stars.
      const std::string what = was == is ? " changes" : " " + was + " becomes " + is;
      changes_.push_back({where + setting.key + what + remark(setting), setting.reload});
    }
  }

  // Its cluster has another name; that has been said.
  bool renamed(const Setting& setting, std::size_t before, std::size_t after) const {
    if (setting.section == Section::kCluster) return setting.key == "name";
    const auto moved = [&](const std::string& old, const std::string& read) {
      return origins_[cluster_index(read_, read)] != std::optional(cluster_index(running_, old));
    };
    if (setting.key != "cluster") return false;
    if (setting.section == Section::kNode) {
      return !moved(running_.nodes[before].cluster, read_.nodes[after].cluster);
    }
    return !moved(running_.listen[before].cluster, read_.listen[after].cluster);
  }

  static const char* remark(const Setting& setting) {
    switch (setting.reload) {
      case Reload::kNow:
        break;
      case Reload::kClients:
        return " for new clients";
      case Reload::kIdentity:
        return setting.section == Section::kNode ? ", which makes it another node"
                                                 : ", which makes it another listener";
      case Reload::kRestart:
        return " after a restart";
    }
    return "";
  }

  const Config& running_;
  const Config& read_;
  const ClusterOrigins origins_;
  std::vector<ConfigChange> changes_;
};

}  // namespace

std::vector<ConfigChange> changes(const Config& running, const Config& read) {
  return Comparison(running, read).run();
}

}  // namespace pgsteer
