// The files of the status page, compiled in from stats/page/. Constant; any thread.
#pragma once

#include <span>
#include <string_view>

namespace pgsteer {

struct PageFile {
  std::string_view path;  // "/index.html"
  std::string_view type;  // Content-Type
  std::string_view body;
};

std::span<const PageFile> page_files();

}  // namespace pgsteer
