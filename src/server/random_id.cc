// See random_id.h.
#include "server/random_id.h"

#include <array>
#include <cstdio>
#include <random>

namespace dgemma::server {

std::string random_id() {
  thread_local std::mt19937_64 engine = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  std::array<char, 33> text{};
  std::snprintf(text.data(), text.size(), "%016llx%016llx", static_cast<unsigned long long>(engine()),
                static_cast<unsigned long long>(engine()));
  return std::string(text.data(), 24);
}

}  // namespace dgemma::server
