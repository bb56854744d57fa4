// What a sweep promises beyond its numbers: rows do not depend on company, chunks or threads; cancel leaves no trace.
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <numeric>

#include "model/tiny_model.h"

namespace dgemma::model {
namespace {

std::vector<int32_t> some_tokens(size_t count, int32_t start) {
  std::vector<int32_t> ids(count);
  for (size_t i = 0; i < count; ++i) ids[i] = static_cast<int32_t>((static_cast<size_t>(start) + i * 37) % 500);
  return ids;
}

/// A model with everything that runs it, and one canvas step on top of a cache.
class Sweep : public testing::TestWithParam<tensor::DType> {  // what the caches hold
 protected:
  Sweep()
      : tiny_(TinyModel::open("tiny-a", GetParam())),
        exec_(*kernels::available().back(), 2),
        workspace_(make_workspace()) {}

  KvCache encoded(const std::vector<int32_t>& ids, size_t chunk) {
    KvCache cache = tiny_.model.new_cache();
    for (size_t first = 0; first < ids.size(); first += chunk) {
      RowGroup g;
      g.cache = &cache, g.tokens = std::span(ids).subspan(first, std::min(chunk, ids.size() - first));
      EXPECT_TRUE(tiny_.model.sweep(exec_, *workspace_, {&g, 1}));
    }
    return cache;
  }

  struct Canvas {
    std::vector<int32_t> tokens;
    std::vector<double> uniform = std::vector<double>(16, 0.37);
    std::vector<ops::RowPrediction> predictions = std::vector<ops::RowPrediction>(16);
    SelfConditioning conditioning = {};

    RowGroup group(KvCache& cache) {
      RowGroup g;
      g.cache = &cache, g.tokens = tokens, g.denoise = true, g.temperature = 0.7, g.uniform = uniform;
      g.conditioning = &conditioning, g.predictions = predictions;
      return g;
    }
    void expect_same(const Canvas& other) const {
      const auto soft = conditioning.soft.view(), other_soft = other.conditioning.soft.view();
      if (conditioning.present && !conditioning.deferred && !other.conditioning.deferred) {
        EXPECT_EQ(std::memcmp(soft.data, other_soft.data, 16 * soft.features * sizeof(float)), 0) << "soft embedding";
      }
      for (size_t r = 0; r < predictions.size(); ++r) {
        EXPECT_EQ(predictions[r].best, other.predictions[r].best) << r;
        EXPECT_EQ(predictions[r].sample, other.predictions[r].sample) << r;
        EXPECT_EQ(predictions[r].entropy, other.predictions[r].entropy) << r;
        EXPECT_EQ(predictions[r].best_logprob, other.predictions[r].best_logprob) << r;
      }
    }
  };

  Canvas step(KvCache& cache, int32_t start = 5) {
    Canvas canvas{some_tokens(16, start)};
    const RowGroup g = canvas.group(cache);
    EXPECT_TRUE(tiny_.model.sweep(exec_, *workspace_, {&g, 1}));
    return canvas;
  }

  TinyModel tiny_;
  ops::Exec exec_;
  std::unique_ptr<Workspace, void (*)(Workspace*)> workspace_;
};

TEST_P(Sweep, chunks_of_a_prompt_do_not_change_what_follows) {
  const auto ids = some_tokens(150, 11);  // nine windows of 16
  KvCache whole = encoded(ids, 1000), small = encoded(ids, 1), odd = encoded(ids, 17);
  const Canvas a = step(whole), b = step(small), c = step(odd);
  a.expect_same(b);
  a.expect_same(c);
}

TEST_P(Sweep, two_sessions_in_one_sweep_get_what_each_gets_alone) {
  KvCache one = encoded(some_tokens(40, 3), 64), two = encoded(some_tokens(23, 8), 64);
  const Canvas alone_one = step(one, 5), alone_two = step(two, 9);
  Canvas first{some_tokens(16, 5)}, second{some_tokens(16, 9)};
  const RowGroup groups[] = {first.group(one), second.group(two)};
  ASSERT_TRUE(tiny_.model.sweep(exec_, *workspace_, groups));
  first.expect_same(alone_one);
  second.expect_same(alone_two);
}

TEST_P(Sweep, a_commit_and_the_next_canvas_may_share_a_sweep) {
  const auto prompt = some_tokens(30, 3), answer = some_tokens(16, 77);
  KvCache apart = encoded(prompt, 64), together = encoded(prompt, 64);
  RowGroup commit;
  commit.cache = &apart, commit.tokens = answer;
  ASSERT_TRUE(tiny_.model.sweep(exec_, *workspace_, {&commit, 1}));
  const Canvas expected = step(apart);

  Canvas canvas{some_tokens(16, 5)};
  commit.cache = &together;
  const RowGroup groups[] = {commit, canvas.group(together)};
  ASSERT_TRUE(tiny_.model.sweep(exec_, *workspace_, groups));
  canvas.expect_same(expected);
  EXPECT_EQ(together.length(), 46);
}

TEST_P(Sweep, a_soft_embedding_that_was_put_off_is_the_same_in_the_next_step) {
  KvCache cache = encoded(some_tokens(30, 3), 64);
  Canvas at_once{some_tokens(16, 5)}, put_off{some_tokens(16, 5)};
  for (int step = 0; step < 3; ++step) {
    const RowGroup a = at_once.group(cache);
    RowGroup b = put_off.group(cache);
    b.defer_soft = step == 1;
    ASSERT_TRUE(tiny_.model.sweep(exec_, *workspace_, {&a, 1}));
    ASSERT_TRUE(tiny_.model.sweep(exec_, *workspace_, {&b, 1}));
    EXPECT_EQ(put_off.conditioning.deferred, step == 1);
    put_off.expect_same(at_once);
    put_off.tokens = at_once.tokens = some_tokens(16, 50 * step);
  }
}

TEST_P(Sweep, encoding_for_the_cache_only_leaves_the_same_cache) {
  const auto prompt = some_tokens(70, 3), answer = some_tokens(16, 77);
  const auto encode = [&](KvCache& cache, const std::vector<int32_t>& ids, bool only_cache) {
    RowGroup g;
    g.cache = &cache, g.tokens = ids, g.only_cache = only_cache;
    return g;
  };
  KvCache whole = tiny_.model.new_cache(), shortened = tiny_.model.new_cache();
  const RowGroup a = encode(whole, prompt, false), b = encode(shortened, prompt, true);
  ASSERT_TRUE(tiny_.model.sweep(exec_, *workspace_, {&a, 1}));
  ASSERT_TRUE(tiny_.model.sweep(exec_, *workspace_, {&b, 1}));
  step(shortened).expect_same(step(whole));

  Canvas beside_whole{some_tokens(16, 5)}, beside_shortened{some_tokens(16, 5)};
  const RowGroup c[] = {encode(whole, answer, false), beside_whole.group(whole)};
  const RowGroup d[] = {encode(shortened, answer, true), beside_shortened.group(shortened)};
  ASSERT_TRUE(tiny_.model.sweep(exec_, *workspace_, c));
  ASSERT_TRUE(tiny_.model.sweep(exec_, *workspace_, d));
  beside_shortened.expect_same(beside_whole);
  step(shortened).expect_same(step(whole));
}

TEST_P(Sweep, five_sessions_of_all_kinds_get_what_each_gets_alone) {
  for (const kernels::KernelTable* table : kernels::available()) {
    ops::Exec exec(*table, 2);
    const auto run = [&](std::span<const RowGroup> groups) {
      ASSERT_TRUE(tiny_.model.sweep(exec, *workspace_, groups)) << table->name;
    };
    // Sessions 0 and 3 are at a canvas, 1 and 4 at their prompt, 2 commits and starts the next canvas; sizes that do
    // not fill lane blocks. Twice: alone, and all in one sweep.
    std::vector<Canvas> canvas[2];
    for (const bool together : {false, true}) {
      std::vector<KvCache> cache;
      for (int i = 0; i < 5; ++i) cache.push_back(encoded(some_tokens(20 + 7 * size_t(i), 3 + i), 64));
      const auto chunk = some_tokens(37, 9);
      std::vector<Canvas>& canvases = canvas[together];
      for (int i = 0; i < 5; ++i) canvases.push_back({some_tokens(16, 11 * i)});
      std::vector<RowGroup> groups[5];
      for (const size_t i : {size_t{1}, size_t{2}, size_t{4}}) {
        RowGroup g;
        g.cache = &cache[i], g.tokens = std::span(chunk).first(37 - i), g.only_cache = i != 4;
        groups[i].push_back(g);
      }
      for (const size_t i : {size_t{0}, size_t{2}, size_t{3}}) groups[i].push_back(canvases[i].group(cache[i]));
      std::vector<RowGroup> all;
      for (const auto& list : groups) {
        if (!together) run(list);
        all.insert(all.end(), list.begin(), list.end());
      }
      if (together) run(all);
      for (const size_t i : {size_t{1}, size_t{4}}) {  // what was encoded shows in a canvas behind it
        const RowGroup g = canvases[i].group(cache[i]);
        run({&g, 1});
      }
    }
    for (size_t i = 0; i < 5; ++i) canvas[1][i].expect_same(canvas[0][i]);
  }
}

TEST_P(Sweep, threads_do_not_change_a_prediction) {
  KvCache cache = encoded(some_tokens(40, 3), 64);
  const Canvas two = step(cache);
  ops::Exec single(*kernels::available().back(), 1);
  Canvas one{some_tokens(16, 5)};
  const RowGroup g = one.group(cache);
  ASSERT_TRUE(tiny_.model.sweep(single, *workspace_, {&g, 1}));
  one.expect_same(two);
}

TEST_P(Sweep, every_part_of_a_step_is_timed_and_nothing_twice) {
  KvCache cache = encoded(some_tokens(40, 3), 64);
  Canvas first{some_tokens(16, 5)}, second{some_tokens(16, 5)};
  second.conditioning = {tensor::BlockMatrix(16, size_t(tiny_.model.config().width)), true};
  SweepParts times;
  const auto start = std::chrono::steady_clock::now();
  for (Canvas* canvas : {&first, &second}) {
    const RowGroup g = canvas->group(cache);
    ASSERT_TRUE(tiny_.model.sweep(exec_, *workspace_, {&g, 1}, {}, &times));
  }
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double parts[] = {times.attention, times.projections, times.dense, times.experts, times.vocabulary, times.rest};
  for (const double part : parts) EXPECT_GT(part, 0);
  EXPECT_LE(std::accumulate(std::begin(parts), std::end(parts), 0.0), wall);
  step(cache).expect_same(first);
}

TEST_P(Sweep, tells_how_many_experts_of_each_layer_had_rows) {
  const size_t layers = tiny_.model.weights().layer.size();
  KvCache cache = encoded(some_tokens(40, 3), 64);
  ExpertRouting routing;
  Canvas canvas{some_tokens(16, 5)};
  const RowGroup g = canvas.group(cache);
  ASSERT_TRUE(tiny_.model.sweep(exec_, *workspace_, {&g, 1}, {}, nullptr, &routing));
  ASSERT_EQ(routing.touched.size(), layers);
  for (const int touched : routing.touched) EXPECT_TRUE(touched >= 2 && touched <= 4) << touched;
  step(cache).expect_same(canvas);  // who looks changes nothing

  const std::vector<int32_t> one = {7};
  RowGroup token;
  token.cache = &cache, token.tokens = one;
  ASSERT_TRUE(tiny_.model.sweep(exec_, *workspace_, {&token, 1}, {}, nullptr, &routing));
  EXPECT_EQ(routing.touched, std::vector<int>(layers, 2));
  token.only_cache = true;
  ASSERT_TRUE(tiny_.model.sweep(exec_, *workspace_, {&token, 1}, {}, nullptr, &routing));
  EXPECT_EQ(routing.touched.back(), 0) << "behind the last keys and values nothing is computed";
}

TEST_P(Sweep, even_routing_uses_all_experts_and_depends_on_the_position_alone) {
  ExpertRouting routing{true};
  const auto encode = [&](size_t chunk, int threads) {
    KvCache cache = tiny_.model.new_cache();
    ops::Exec exec(*kernels::available().back(), threads);
    const auto ids = some_tokens(40, 3);
    for (size_t first = 0; first < ids.size(); first += chunk) {
      RowGroup g;
      g.cache = &cache, g.tokens = std::span(ids).subspan(first, std::min(chunk, ids.size() - first));
      EXPECT_TRUE(tiny_.model.sweep(exec, *workspace_, {&g, 1}, {}, nullptr, &routing));
    }
    return cache;
  };
  KvCache cache = encode(64, 2), chunked = encode(7, 1);
  Canvas alone{some_tokens(16, 5)}, beside{some_tokens(16, 5)}, other{some_tokens(16, 90)};
  const RowGroup g = alone.group(cache);
  ASSERT_TRUE(tiny_.model.sweep(exec_, *workspace_, {&g, 1}, {}, nullptr, &routing));
  EXPECT_EQ(routing.touched, std::vector<int>(tiny_.model.weights().layer.size(), 4));
  const RowGroup both[] = {other.group(cache), beside.group(chunked)};
  ASSERT_TRUE(tiny_.model.sweep(exec_, *workspace_, both, {}, nullptr, &routing));
  beside.expect_same(alone);

  const Canvas routed = step(cache);  // by the router
  EXPECT_NE(routed.predictions[0].entropy, alone.predictions[0].entropy);
}

TEST_P(Sweep, cancelled_encoding_leaves_the_cache_as_it_was) {
  KvCache cache = encoded(some_tokens(40, 3), 64);
  const Canvas before = step(cache);
  std::atomic<bool> cancel{true};
  const auto more = some_tokens(20, 99);
  RowGroup g;
  g.cache = &cache, g.tokens = more, g.cancel = &cancel;
  const auto result = tiny_.model.sweep(exec_, *workspace_, {&g, 1});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(cache.length(), 40);
  step(cache).expect_same(before);
}

TEST_P(Sweep, cancelled_within_a_layer_computes_no_other) {
  const size_t layers = tiny_.model.weights().layer.size();
  for (size_t last = 0; last < layers; ++last) {
    KvCache cache = encoded(some_tokens(40, 3), 64);
    Canvas canvas{some_tokens(16, 5)};
    std::atomic<bool> cancel{false};
    RowGroup g = canvas.group(cache);
    g.cancel = &cancel;
    size_t done = 0;
    const auto result = tiny_.model.sweep(exec_, *workspace_, {&g, 1}, [&](size_t layer, tensor::ConstBlocks) {
      cancel = layer == last;
      done = layer + 1;
    });
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
    EXPECT_EQ(done, last + 1);
    EXPECT_FALSE(canvas.conditioning.present) << "no vocabulary pass after the last layer either";
  }
}

TEST_P(Sweep, going_back_and_encoding_again_gives_the_same_as_a_fresh_cache) {
  const auto ids = some_tokens(60, 3);
  KvCache fresh = encoded(ids, 64);
  auto other = ids;
  for (size_t i = 45; i < other.size(); ++i) other[i] = 1;
  KvCache back = encoded(other, 64);
  ASSERT_EQ(back.truncate(45), 45);
  RowGroup g;
  g.cache = &back, g.tokens = std::span(ids).subspan(45);
  ASSERT_TRUE(tiny_.model.sweep(exec_, *workspace_, {&g, 1}));
  step(back).expect_same(step(fresh));
}

// Tables that do not fuse differ in the last bits, which decide now and then to which bf16 a number is rounded.
TEST_P(Sweep, every_kernel_table_decides_alike) {
  const float near = GetParam() == tensor::DType::kF32 ? 1e-4f : 5e-3f;
  KvCache cache = encoded(some_tokens(40, 3), 64);
  const Canvas best = step(cache);
  for (const kernels::KernelTable* table : kernels::available()) {
    ops::Exec exec(*table, 1);
    Canvas canvas{some_tokens(16, 5)};
    const RowGroup g = canvas.group(cache);
    ASSERT_TRUE(tiny_.model.sweep(exec, *workspace_, {&g, 1}));
    for (size_t r = 0; r < 16; ++r) {
      EXPECT_EQ(canvas.predictions[r].best, best.predictions[r].best) << table->name;
      EXPECT_NEAR(canvas.predictions[r].entropy, best.predictions[r].entropy, near) << table->name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Caches, Sweep, testing::Values(tensor::DType::kF32, tensor::DType::kBF16),
                         [](const auto& test) { return std::string(tensor::info(test.param).name); });

}  // namespace
}  // namespace dgemma::model
