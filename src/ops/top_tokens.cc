// See top_tokens.h.
#include "ops/top_tokens.h"

#include <algorithm>

#include "tensor/blocks.h"

namespace dgemma::ops {

using tensor::kLanes;

void take_top_token(const TopToken& token, std::span<TopToken> list) {
  size_t place = list.size();
  while (place > 0 && token.logprob > list[place - 1].logprob) --place;
  if (place == list.size()) return;
  std::copy_backward(list.begin() + static_cast<std::ptrdiff_t>(place), list.end() - 1, list.end());
  list[place] = token;
}

void take_top_tokens(const float* z, size_t tokens, int32_t first, std::span<TopToken> lists) {
  const size_t count = lists.size() / kLanes;
  float least[kLanes];  // of each list: what a logit has to exceed
  for (size_t lane = 0; lane < kLanes; ++lane) least[lane] = lists[(lane + 1) * count - 1].logprob;
  for (size_t i = 0; i < tokens; ++i) {
    const float* logits = z + i * kLanes;
    bool any = false;
    for (size_t lane = 0; lane < kLanes; ++lane) any |= logits[lane] > least[lane];
    if (!any) continue;
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const std::span<TopToken> list = lists.subspan(lane * count, count);
      take_top_token({first + static_cast<int32_t>(i), logits[lane]}, list);
      least[lane] = list.back().logprob;
    }
  }
}

}  // namespace dgemma::ops
