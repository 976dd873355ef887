// SPDX-License-Identifier: Apache-2.0
// The pins of one instance in bpffs:
//   <bpffs>/lvs/<instance>/v<layout>/   every map by its name, the programs, `link-<interface>`
//   <bpffs>/lvs/<instance>/new-<pid>/   being built: renamed to v<layout> when it is complete
//   <bpffs>/lvs/<instance>/next-<pid>/  the same, to change places with v<layout>; its links are those of v<layout>,
//   too <bpffs>/lvs/<instance>/old-<pid>/   being removed
// bpffs renames atomically, so v<layout> is either complete or not there; what a crash leaves under the other names is
// garbage that the next start removes. bpffs allows no dot in a name: a dot in an instance or interface name becomes a
// colon, which neither may contain.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "dataplane/maps.h"

namespace xlvs::dataplane {

class Pins {
 public:
  // Locks the instance (conflict while another process has it open) and removes garbage. With `create`, makes its
  // folder.
  [[nodiscard]] static Result<Pins> open(const std::string& bpffs, const std::string& instance, bool create);
  Pins(Pins&&) = default;
  Pins& operator=(Pins&&) = default;
  ~Pins();  // removes folders that are empty

  // This layout's pins are there.
  [[nodiscard]] bool exist() const;
  // The folders of other layouts: v0, v2 ...
  [[nodiscard]] std::vector<std::string> other_layouts() const;
  // Pins everything at once.
  [[nodiscard]] Result<void> create(const std::vector<std::pair<std::string, int>>& objects);

  [[nodiscard]] Result<Fd> get(const std::string& name) const;
  // All but programs and links.
  [[nodiscard]] Result<std::map<std::string, Fd>> maps() const;
  // Pins `objects` and the links in the place of all that is pinned now, in one step; the links stay attached. The
  // kernel must know how to exchange names (Linux 5.16).
  [[nodiscard]] Result<void> replace_all(const std::vector<std::pair<std::string, int>>& objects);
  // Pins, or replaces what is pinned under the name, in one step.
  [[nodiscard]] Result<void> replace(const std::string& name, int fd);

  // Those of `objects` that are not pinned under their names any more.
  using Objects = std::vector<std::pair<std::string, int>>;
  [[nodiscard]] Objects lost(const Objects& objects) const;
  // Pins `objects` again, of which all or some are lost; also when the folder is gone, or the file system another one.
  [[nodiscard]] Result<void> restore(const Objects& objects, const Objects& lost_ones);

  // Interface names that have a pinned link.
  [[nodiscard]] std::vector<std::string> links() const;
  [[nodiscard]] static std::string link_name(std::string_view interface);
  void remove(const std::string& name);
  [[nodiscard]] Result<void> rename(const std::string& from, const std::string& to);

  // Detaches every program of the instance, of all layouts, and removes its pins.
  [[nodiscard]] Result<void> remove_all();

 private:
  Pins(std::string parent, std::string root, Fd lock);
  [[nodiscard]] std::string path(const std::string& name) const;
  void remove_garbage();
  [[nodiscard]] Result<void> make_folder();

  std::string parent_;   // <bpffs>/lvs
  std::string root_;     // <bpffs>/lvs/<instance>
  std::string current_;  // v<layout>
  Fd lock_;
};

}  // namespace xlvs::dataplane
