// Listening sockets that are files: what stands in their way, and what they leave behind.
#include "proxy/net/listen_socket.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "tests/component/proxy_fixture.h"

namespace pgsteer {
namespace {

class UnixListenSocket : public testing::Test {
 protected:
  UnixListenSocket() {
    std::string name = std::filesystem::temp_directory_path() / "pgsteer-listen-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    path_ = folder_ / "socket";
  }
  ~UnixListenSocket() override { std::filesystem::remove_all(folder_); }

  std::string problem() {
    try {
      open_listen_socket(bind_to(path_));
    } catch (const std::runtime_error& why) {
      return why.what();
    }
    return "none";
  }
  bool is_socket() const { return std::filesystem::is_socket(path_); }

  std::filesystem::path folder_;
  std::filesystem::path path_;
};

TEST_F(UnixListenSocket, AnOrdinaryFileStaysAndIsAnError) {
  std::ofstream(path_) << "the only copy";
  EXPECT_EQ(problem(), path_.string() + ": a file that is not a socket is in the way; it stays");
  std::string text;
  std::getline(std::ifstream(path_), text);
  EXPECT_EQ(text, "the only copy");
}

TEST_F(UnixListenSocket, ALinkStaysAndIsAnError) {
  std::filesystem::create_symlink(folder_ / "elsewhere", path_);
  EXPECT_NE(problem(), "none");
  EXPECT_TRUE(std::filesystem::is_symlink(path_));
}

TEST_F(UnixListenSocket, TheFileOfADeadProcessIsReplaced) {
  open_listen_socket(bind_to(path_)).reset();
  ASSERT_TRUE(is_socket());
  EXPECT_EQ(problem(), "none");
}

TEST_F(UnixListenSocket, TheFileOfALiveProcessStays) {
  const UniqueFd other = open_listen_socket(bind_to(path_));
  EXPECT_NE(problem(), "none");
  EXPECT_TRUE(is_socket());
}

TEST_F(UnixListenSocket, ALiveProcessWithAFullQueueDoesNotBlockTheProbe) {
  const UniqueFd other = open_listen_socket(bind_to(path_), 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
  std::vector<UniqueFd> waiting;
  for (int connected = 0; connected == 0;) {
    waiting.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    connected = ::connect(waiting.back().get(), reinterpret_cast<const sockaddr*>(&address),
                          sizeof address);
  }
  EXPECT_NE(problem(), "none");
  EXPECT_TRUE(is_socket());
}

TEST_F(UnixListenSocket, OnlyOnesOwnFileIsRemoved) {
  const UniqueFd mine = open_listen_socket(bind_to(path_));
  const SocketFile file = socket_file(path_);
  ASSERT_NE(file.inode, 0U);
  std::filesystem::remove(path_);
  const UniqueFd other = open_listen_socket(bind_to(path_));
  remove_socket_file(path_, file);
  EXPECT_TRUE(is_socket());
  remove_socket_file(path_, socket_file(path_));
  EXPECT_FALSE(std::filesystem::exists(path_));
  remove_socket_file(path_, file);
  remove_socket_file("", SocketFile{});
}

// The successor of this process may have bound the path already.
TEST_F(UnixListenSocket, AServerThatStopsLeavesItsSuccessorsFile) {
  ProxyFixture proxy;
  proxy.rw().bind.push_back(bind_to(path_));
  proxy.start();
  ASSERT_TRUE(is_socket());
  std::filesystem::remove(path_);
  const UniqueFd successor = open_listen_socket(bind_to(path_));
  proxy.server->stop(0ms);
  EXPECT_TRUE(is_socket());
}

}  // namespace
}  // namespace pgsteer
