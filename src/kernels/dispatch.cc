// The list of kernel tables and the choice among them (kernels.h).
//
// To add a table: a file that exports its getter (tables.h), one line in kCandidates, one in CMakeLists.txt. The order
// is slowest first, so the last one that runs here is the default. Test: tests/kernels/dispatch_test.cc.
#include <array>
#include <cstddef>

#include "base/format.h"
#include "kernels/amx_machine.h"
#include "kernels/cpu.h"
#include "kernels/kernels.h"
#include "kernels/tables.h"

namespace dgemma::kernels {
namespace {

struct Candidate {
  const char* name;
  const KernelTable* (*table)();
  bool (*runs_on)(const Cpu&);
};

#if defined(__x86_64__)
bool runs_avx512(const Cpu& c) { return c.avx512f && c.avx512bw && c.avx512dq && c.avx512vl && c.avx2 && c.fma; }
#endif

constexpr Candidate kCandidates[] = {
    {"scalar", scalar_table, [](const Cpu&) { return true; }},
#if defined(__x86_64__)
    {"sse2", sse2_table, [](const Cpu& c) { return c.sse2; }},
    {"avx2", avx2_table, [](const Cpu& c) { return c.avx2 && c.fma; }},
    {"avxvnni", avxvnni_table, [](const Cpu& c) { return c.avx2 && c.fma && c.avx_vnni; }},
    {"avx512", avx512_table, runs_avx512},
    {"avx512vnni", avx512vnni_table, [](const Cpu& c) { return runs_avx512(c) && c.avx512_vnni; }},
    {"avx512bf16", avx512bf16_table, [](const Cpu& c) { return runs_avx512(c) && c.avx512_vnni && c.avx512_bf16; }},
    {"amx", amx_table, [](const Cpu& c) { return amx_obstacle(c) == nullptr; }},
    {"amxbf16", amxbf16_table, [](const Cpu& c) { return amxbf16_obstacle(c) == nullptr; }},
#elif defined(__aarch64__)
    {"neon", neon_table, [](const Cpu& c) { return c.neon; }},
    {"neondot", neondot_table, [](const Cpu& c) { return c.neon && c.dotprod; }},
    {"neoni8mm", neoni8mm_table, [](const Cpu& c) { return c.neon && c.dotprod && c.i8mm; }},
    {"neonbf16", neonbf16_table, [](const Cpu& c) { return c.neon && c.dotprod && c.i8mm && c.arm_bf16; }},
#endif
};
constexpr size_t kCount = std::size(kCandidates);

struct Lists {
  std::array<const char*, kCount> names{};
  std::array<const KernelTable*, kCount> runnable{};
  size_t runnable_count = 0;
};

const Lists& lists() {
  static const Lists built = [] {
    Lists l;
    for (size_t i = 0; i < kCount; ++i) {
      l.names[i] = kCandidates[i].name;
      if (kCandidates[i].runs_on(cpu())) l.runnable[l.runnable_count++] = kCandidates[i].table();
    }
    return l;
  }();
  return built;
}

std::string runnable_names() {
  std::string out;
  for (const KernelTable* t : available()) out += (out.empty() ? "" : ", ") + std::string(t->name);
  return out;
}

/// " (reason)" why this machine cannot run a table of this build, where there is more to say than "other instructions".
std::string obstacle([[maybe_unused]] std::string_view name) {
#if defined(__x86_64__)
  const char* why = name == "amx" ? amx_obstacle(cpu()) : name == "amxbf16" ? amxbf16_obstacle(cpu()) : nullptr;
  if (why != nullptr) return base::concat(" (", why, ")");
#endif
  return "";
}

}  // namespace

std::span<const KernelTable* const> available() { return {lists().runnable.data(), lists().runnable_count}; }

std::span<const char* const> known() { return lists().names; }

Result<const KernelTable*> choose(std::string_view name) {
  const auto tables = available();
  if (name.empty() || name == "auto") return tables.back();
  for (const KernelTable* t : tables)
    if (name == t->name) return t;
  bool built = false;
  for (const char* k : known()) built = built || name == k;
  const char* what = built ? "this machine cannot run" : "this program has no";
  return Unexpected(ErrorCode::kUnsupported,
                    base::concat("kernels: ", what, " kernels named ", base::quoted(name), built ? obstacle(name) : "",
                                 ". Choose one of: auto, ", runnable_names(), "."));
}

std::string cpu_features() { return feature_names(cpu()); }

}  // namespace dgemma::kernels
