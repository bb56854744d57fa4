// A denoising step allocates nothing: counted with every operator new of this program replaced, so it has a program of
// its own. What may allocate is a canvas's start (the cache grows) and the first step of all (the workspace grows).
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "dgemma/engine.h"
#include "dgemma/session.h"

namespace {
std::atomic<size_t> allocations{0};

void* take(size_t bytes, size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (memory == nullptr) std::abort();
  return memory;
}
}  // namespace

void* operator new(size_t bytes) { return take(bytes, alignof(std::max_align_t)); }
void* operator new[](size_t bytes) { return take(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t a) { return take(bytes, static_cast<size_t>(a)); }
void* operator new[](size_t bytes, std::align_val_t a) { return take(bytes, static_cast<size_t>(a)); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t, std::align_val_t) noexcept { std::free(p); }

namespace dgemma {
namespace {

/// Allocations between the draft of each step and that of the step before it, of a canvas's second step and later.
std::vector<size_t> allocations_of_steps(const std::string& model, const std::string& compute, int threads,
                                         double confidence, int top_tokens = 0) {
  EngineOptions options;
  options.model_path = std::string(DGEMMA_SOURCE_DIR) + "/tests/data/golden/" + model;
  options.threads = threads, options.compute = compute;
  const Engine engine = Engine::open(options).value();
  Session session = engine.new_session({}).value();
  EXPECT_TRUE(session.sync_tokens(std::vector<int32_t>{5, 6, 7, 8, 9}));
  GenerateOptions o;
  o.seed = 1, o.max_new_tokens = 3 * engine.info().canvas_length, o.eos_ids = std::vector<int32_t>{};
  o.sampler.max_denoising_steps = 8, o.sampler.confidence_threshold = confidence;
  o.top_tokens = top_tokens;
  std::vector<size_t> counts;
  counts.reserve(64);
  size_t before = 0;
  EXPECT_TRUE(session.generate(o, [&](const Event& event) {
    const auto* draft = std::get_if<CanvasDraft>(&event);
    if (draft == nullptr) return;
    if (draft->step > 0) counts.push_back(allocations.load() - before);
    before = allocations.load();
  }));
  return counts;
}

TEST(Allocation, counts) {
  const size_t before = allocations.load();
  const std::vector<int> numbers(100);
  EXPECT_EQ(allocations.load(), before + 1);
}

TEST(Allocation, none_in_a_step) {
  for (const char* model : {"tiny-a", "tiny-b.gguf"})
    for (const char* compute : {"f32", "bf16", "int8"})
      for (const int threads : {1, 2}) {
        const auto counts = allocations_of_steps(model, compute, threads, 0.0);
        EXPECT_EQ(counts, std::vector<size_t>(21, 0)) << model << " " << compute << ", " << threads << " threads";
      }
}

TEST(Allocation, none_where_the_most_probable_tokens_are_asked_for) {
  EXPECT_EQ(allocations_of_steps("tiny-a", "f32", 2, 0.0, 20), std::vector<size_t>(21, 0));
}

TEST(Allocation, none_where_the_soft_embedding_is_put_off) {
  const auto counts = allocations_of_steps("tiny-a", "f32", 1, 1e9);  // every step but a canvas's first is near the end
  EXPECT_EQ(counts, std::vector<size_t>(counts.size(), 0));
  EXPECT_FALSE(counts.empty());
}

}  // namespace
}  // namespace dgemma
