// SPDX-License-Identifier: Apache-2.0
#include "dataplane/object.h"

#include <bpf/libbpf.h>
#include <openssl/sha.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>

#include "lvs.skel.h"

namespace xlvs::dataplane {
namespace {

// What libbpf says while load() runs: the verifier's log comes only this way. One thread, see dataplane.h.
std::string* capture = nullptr;

__attribute__((format(printf, 2, 0))) int log_libbpf(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG && !spdlog::should_log(spdlog::level::trace)) return 0;
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  if (length <= 0) return 0;
  std::string text(static_cast<std::size_t>(length), '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, arguments);
  if (capture != nullptr && level == LIBBPF_WARN) *capture += text;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  spdlog::log(level == LIBBPF_DEBUG ? spdlog::level::trace : spdlog::level::debug, "{}", text);
  return length;
}

std::string last_lines(const std::string& text, int lines) {
  std::size_t start = text.size();
  for (; lines >= 0 && start != std::string::npos && start != 0; --lines) start = text.rfind('\n', start - 1);
  return start == std::string::npos || start == 0 ? text : text.substr(start + 1);
}

// libbpf names maps of global data after their section. Those of read-only data belong to one program and go with it.
std::string pin_name(const bpf_map* map) {
  const std::string name = bpf_map__name(map);
  if (name == ".data.control") return "control";
  return name.find('.') == std::string::npos ? name : std::string();
}

bpf_map* find_map(bpf_object* object, std::string_view name) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (pin_name(map) == name) return map;
  }
  return nullptr;
}

}  // namespace

void redirect_libbpf_log() {
  libbpf_set_print(log_libbpf);
}

ObjectHash object_hash() {
  std::size_t size = 0;
  const void* elf = lvs__elf_bytes(&size);
  ObjectHash hash{};
  SHA256(static_cast<const unsigned char*>(elf), size, hash.data());
  return hash;
}

void BpfObject::Destroy::operator()(lvs* skeleton) const {
  lvs__destroy(skeleton);
}

Result<BpfObject> BpfObject::open() {
  BpfObject object;
  object.skeleton_.reset(lvs__open());
  if (!object.skeleton_)
    return fail(ErrorKind::unsupported, "the embedded BPF object can not be opened: {}", std::strerror(errno));
  return object;
}

Result<void> BpfObject::resize(const std::vector<MapSize>& sizes) {
  for (const MapSize& size : sizes) {
    bpf_map* map = find_map(skeleton_->obj, size.map);
    if (map == nullptr) return fail(ErrorKind::unsupported, "the embedded BPF object has no map {}", size.map);
    if (bpf_map__set_max_entries(map, size.entries) != 0)
      return fail(ErrorKind::unsupported, "cannot set the size of map {} to {}: {}", size.map, size.entries,
                  std::strerror(errno));
  }
  return {};
}

Result<void> BpfObject::reuse(const std::map<std::string, Fd>& maps) {
  for (const auto& [name, fd] : maps) {
    bpf_map* map = find_map(skeleton_->obj, name);
    if (map == nullptr) continue;  // a map that this build no longer has
    if (bpf_map__reuse_fd(map, fd.get()) != 0)
      return fail(ErrorKind::conflict, "cannot use the pinned map {}: {}", name, std::strerror(errno));
  }
  return {};
}

Result<void> BpfObject::load() {
  // libbpf 1.x raises RLIMIT_MEMLOCK itself where the kernel still accounts BPF memory by it.
  std::string messages;
  capture = &messages;
  const int error = lvs__load(skeleton_.get());
  capture = nullptr;
  if (error == 0) return {};
  if (error == -EPERM || error == -ENOMEM)
    return fail(error == -EPERM ? ErrorKind::permission : ErrorKind::unavailable,
                "the kernel refused to load the BPF object: {}\n{}", std::strerror(-error), last_lines(messages, 4));
  return fail(ErrorKind::unsupported, "the kernel refused to load the BPF object: {}; its last words:\n{}",
              std::strerror(-error), last_lines(messages, 20));
}

int BpfObject::program() const {
  return bpf_program__fd(skeleton_->progs.lvs);
}

int BpfObject::check_program() const {
  return bpf_program__fd(skeleton_->progs.lvs_check);
}

int BpfObject::import_program() const {
  return bpf_program__fd(skeleton_->progs.lvs_import);
}

std::vector<std::pair<std::string, int>> BpfObject::maps() const {
  std::vector<std::pair<std::string, int>> out;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, skeleton_->obj) {
    if (std::string name = pin_name(map); !name.empty()) out.emplace_back(std::move(name), bpf_map__fd(map));
  }
  return out;
}

}  // namespace xlvs::dataplane
