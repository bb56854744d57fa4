// A denoising step allocates nothing: counted with every operator new of this program replaced, and mmap, by which large
// matrices come (base/huge_memory.h), so it has a program of its own. What may allocate is a canvas's start (the cache grows) and the first step of all (the workspace grows), and
// no more than was planned. Where one of these finds no memory, only that answer fails.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "base/huge_memory.h"
#include "dgemma/engine.h"
#include "dgemma/session.h"
#include "engine/loaded_model.h"
#include "engine/prompt.h"

namespace {
std::atomic<size_t> allocations{0}, live_bytes{0};
std::atomic<long> lines_left{-1};  // allocations of cache lines until one fails; below 0: none does

void* take(size_t bytes, size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (memory == nullptr) std::abort();
  live_bytes.fetch_add(::malloc_usable_size(memory), std::memory_order_relaxed);
  return memory;
}
void give(void* memory) {
  live_bytes.fetch_sub(::malloc_usable_size(memory), std::memory_order_relaxed);
  std::free(memory);
}
}  // namespace

void* operator new(size_t bytes) { return take(bytes, alignof(std::max_align_t)); }
void* operator new[](size_t bytes) { return take(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t a) { return take(bytes, static_cast<size_t>(a)); }
void* operator new[](size_t bytes, std::align_val_t a) {  // matrices and caches (tensor::AlignedBuffer)
  if (lines_left.load() >= 0 && lines_left.fetch_sub(1) == 0) throw std::bad_alloc();
  return take(bytes, static_cast<size_t>(a));
}
void operator delete(void* p) noexcept { give(p); }
void operator delete[](void* p) noexcept { give(p); }
void operator delete(void* p, size_t) noexcept { give(p); }
void operator delete[](void* p, size_t) noexcept { give(p); }
void operator delete(void* p, std::align_val_t) noexcept { give(p); }
void operator delete[](void* p, std::align_val_t) noexcept { give(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { give(p); }
void operator delete[](void* p, size_t, std::align_val_t) noexcept { give(p); }

// Counted without the room that aligning takes, which nobody touches. Files' mappings are there before and after.
extern "C" void* mmap(void* at, size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
  static const auto real = reinterpret_cast<decltype(&mmap)>(::dlsym(RTLD_NEXT, "mmap"));
  if ((flags & MAP_ANONYMOUS) != 0) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    live_bytes.fetch_add(bytes - dgemma::base::kHugePage, std::memory_order_relaxed);
  }
  return real(at, bytes, protection, flags, file, offset);
}
extern "C" int munmap(void* at, size_t bytes) noexcept {
  static const auto real = reinterpret_cast<decltype(&munmap)>(::dlsym(RTLD_NEXT, "munmap"));
  live_bytes.fetch_sub(bytes - dgemma::base::kHugePage, std::memory_order_relaxed);
  return real(at, bytes);
}

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
  const size_t bytes = live_bytes.load(), large = size_t{3} << 20;
  const auto memory = base::HugeMemory::allocate(large);
  EXPECT_EQ(allocations.load(), before + 2);
  EXPECT_EQ(live_bytes.load(), bytes + large);
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

/// An answer of two canvases to what the session was synced to. `failing`: the number of the allocation that finds no
/// memory; below 0 for none.
Result<Answer> two_canvases(Session& session, long failing) {
  GenerateOptions o;
  o.seed = 1, o.max_new_tokens = 20, o.eos_ids = std::vector<int32_t>{}, o.sampler.max_denoising_steps = 3;
  lines_left.store(failing);
  return session.generate(o, {});
}

TEST(Allocation, that_finds_no_memory_fails_its_answer_and_nothing_else) {
  for (const char* compute : {"f32", "int8"})
    for (const int threads : {1, 2}) {
      EngineOptions options;
      options.model_path = std::string(DGEMMA_SOURCE_DIR) + "/tests/data/golden/tiny-a";
      options.threads = threads, options.compute = compute;
      std::vector<std::vector<int32_t>> answers;
      for (long failing = 0;; ++failing) {
        const Engine engine = Engine::open(options).value();  // with a workspace that has yet to grow
        Session session = engine.new_session({}).value();
        ASSERT_TRUE(session.sync_tokens(std::vector<int32_t>{5, 6, 7, 8, 9}));
        const auto answer = two_canvases(session, failing);
        if (lines_left.exchange(-1) >= 0) break;
        ASSERT_FALSE(answer) << compute << " " << failing;
        EXPECT_EQ(answer.error().code, ErrorCode::kOutOfMemory);
        answers.push_back(two_canvases(session, -1).value().tokens);
        EXPECT_EQ(answers.back(), answers.front()) << compute << " " << failing;
      }
      EXPECT_GT(answers.size(), 20u) << "a sweep takes its workspace matrix by matrix";
    }
}

/// What a sweep of a prompt and of several canvases behind it takes, beside the caches, and what was planned for it.
struct Memory {
  uint64_t planned = 0, taken = 0;
};
Memory memory_of_a_sweep(const std::string& path, const std::string& compute, int threads, size_t canvases) {
  EngineOptions options;
  options.model_path = std::string(DGEMMA_SOURCE_DIR) + "/" + path, options.compute = compute;
  const engine::LoadedModel loaded = engine::load_model(options).value();
  const size_t length = size_t(loaded.model.config().canvas_length), prompt = 200;
  const std::vector<int32_t> tokens = ids(prompt, 1), canvas(length, 7);
  const std::vector<double> uniform(length, 0.5);
  std::vector<ops::RowPrediction> predictions(canvases * length);
  std::vector<TopToken> top(canvases * length * kMostTopTokens);
  std::vector<model::SelfConditioning> conditioning(canvases);
  std::vector<model::KvCache> caches;
  for (size_t i = 0; i < canvases; ++i) caches.push_back(loaded.model.new_cache());
  std::vector<model::RowGroup> groups(canvases + 1);
  groups[0].cache = &caches[0], groups[0].tokens = tokens;
  for (size_t i = 0; i < canvases; ++i) {
    model::RowGroup& g = groups[i + 1];
    g.cache = &caches[i], g.tokens = canvas, g.denoise = true, g.uniform = uniform;
    g.conditioning = &conditioning[i], g.predictions = std::span(predictions).subspan(i * length, length);
    g.top_tokens = std::span(top).subspan(i * length * kMostTopTokens, length * kMostTopTokens);
  }
  ops::Exec exec(*loaded.settings.table, threads);
  const auto workspace = model::make_workspace();
  const size_t before = live_bytes.load();
  for (int step = 0; step < 2; ++step) {
    EXPECT_TRUE(loaded.model.sweep(exec, *workspace, std::span(groups).subspan(step == 0 ? 0 : 1)));
    for (model::RowGroup& group : groups) group.defer_soft = step == 0;
  }
  uint64_t cached = 0;
  for (const model::KvCache& cache : caches) cached += cache.bytes();
  size_t rows = (prompt + 15) / 16 * 16 + canvases * ((length + 15) / 16 * 16);
  return {loaded.model.workspace_bytes(static_cast<int>(rows), threads), live_bytes.load() - before - cached};
}

TEST(Allocation, is_what_was_planned_for_a_sweep) {
  for (const char* model : {"tests/data/golden/tiny-a", "tests/data/golden/tiny-b.gguf", "models/pocket"})
    for (const char* compute : {"f32", "bf16", "int8"})
      for (const int threads : {1, 4})
        for (const size_t canvases : {1u, 16u}) {
          const Memory m = memory_of_a_sweep(model, compute, threads, canvases);
          EXPECT_GE(m.planned, m.taken) << model << " " << compute << " " << threads << " " << canvases;
          EXPECT_LE(m.planned, m.taken + m.taken * 3 / 10 + (8u << 20))
              << model << " " << compute << " " << threads << " " << canvases;
        }
}

}  // namespace
}  // namespace dgemma
