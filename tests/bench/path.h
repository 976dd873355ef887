// SPDX-License-Identifier: Apache-2.0
// One path that frames take over veth, in three namespaces that tests/bench/mpps has made:
//
//   NAME-g  gA ==== gB  NAME-r  sA ==== sB  NAME-s
//
// A live-frame source sends out of gA; a sink on sB counts. What stands in NAME-r is what is measured.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/result.h"

struct bench_wire;  // the skeleton

namespace xlvs::bench {

struct PathOptions {
  std::string name;
  std::string prefix;          // of the namespaces' names
  bool bare_redirect = false;  // NAME-r is empty: put the redirect program there
  bool translated = false;     // frames must arrive with a backend's address; otherwise with the VIP's
  std::uint32_t flows = 1024;  // a power of two
};

struct PathSample {
  double mpps = 0;
  double lost = 0;  // share of what was sent
};

class Path {
 public:
  static Result<std::unique_ptr<Path>> open(const PathOptions& options);
  ~Path();
  Path(const Path&) = delete;
  Path& operator=(const Path&) = delete;

  // Sends a few frames until all of them arrive: neighbours are resolved then and flows are known. Fails after 10 s.
  Result<void> warm_up();
  // Sends `packets` and waits until no more arrive. Fails when hardly any arrived, or not as they should.
  Result<PathSample> measure(std::uint32_t packets);
  [[nodiscard]] const std::string& name() const { return options_.name; }

 private:
  explicit Path(const PathOptions& options) : options_(options) {}
  Result<void> open_source();
  Result<void> open_middle();
  Result<void> open_sink();
  Result<void> send(std::uint32_t packets);
  [[nodiscard]] std::uint64_t arrived() const;
  [[nodiscard]] Result<void> check_destination() const;

  PathOptions options_;
  ::bench_wire* source_ = nullptr;
  ::bench_wire* middle_ = nullptr;
  ::bench_wire* sink_ = nullptr;
};

}  // namespace xlvs::bench
