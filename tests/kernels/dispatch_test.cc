#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/cpu.h"
#include "kernels/kernels.h"

namespace dgemma::kernels {
namespace {

using ::testing::HasSubstr;

TEST(Dispatch, scalar_is_always_there_and_first) {
  ASSERT_FALSE(available().empty());
  EXPECT_STREQ(available().front()->name, "scalar");
}

TEST(Dispatch, every_available_table_is_known_in_the_same_order) {
  std::vector<std::string> names;
  for (const char* n : known()) names.push_back(n);
  auto from = names.begin();
  for (const KernelTable* t : available()) {
    from = std::find(from, names.end(), t->name);
    ASSERT_NE(from, names.end()) << t->name;
    ++from;
  }
}

TEST(Dispatch, empty_and_auto_choose_the_last_table) {
  for (const char* name : {"", "auto"}) {
    const auto table = choose(name);
    ASSERT_TRUE(table.has_value());
    EXPECT_EQ(*table, available().back());
  }
}

TEST(Dispatch, each_available_name_can_be_forced) {
  for (const KernelTable* t : available()) {
    const auto table = choose(t->name);
    ASSERT_TRUE(table.has_value());
    EXPECT_EQ(*table, t);
  }
}

TEST(Dispatch, an_unknown_name_is_refused_with_the_list_of_names) {
  const auto table = choose("z80");
  ASSERT_FALSE(table.has_value());
  EXPECT_EQ(table.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(table.error().message, HasSubstr("z80"));
  for (const KernelTable* t : available()) EXPECT_THAT(table.error().message, HasSubstr(t->name));
}

#if defined(__x86_64__)
TEST(Dispatch, amx_runs_or_says_what_it_lacks) {
  const auto table = choose("amx");
  if (table.has_value()) {
    EXPECT_STREQ((*table)->name, "amx");
  } else {
    EXPECT_THAT(table.error().message, HasSubstr("cannot run kernels named 'amx' ("));
  }
}
#elif defined(__aarch64__)
TEST(Dispatch, a_table_is_there_where_its_instructions_are) {
  EXPECT_TRUE(choose("neon").has_value());
  EXPECT_EQ(choose("neondot").has_value(), cpu().dotprod);
  EXPECT_EQ(choose("neoni8mm").has_value(), cpu().dotprod && cpu().i8mm);
  EXPECT_EQ(choose("neonbf16").has_value(), cpu().dotprod && cpu().i8mm && cpu().arm_bf16);
}
#endif

TEST(Dispatch, every_entry_of_every_available_table_is_filled) {
  for (const KernelTable* t : available()) {
    EXPECT_NE(t->name, nullptr);
    EXPECT_TRUE(t->product_f32 && t->product_bf16 && t->weighted_sum_f32 && t->weighted_sum_bf16) << t->name;
    EXPECT_TRUE(t->rms_norm && t->add_scaled && t->gelu_mul && t->rope && t->softcap && t->softmax_tile) << t->name;
    EXPECT_TRUE(t->quantise && t->product_packed4 && t->product_packed8) << t->name;
    EXPECT_TRUE(t->round_values && t->round_pairs && t->product_pairs && t->weighted_sum_pairs) << t->name;
    EXPECT_TRUE(t->softmax_pairs && t->interleave_rows && t->product_rows_pairs && t->weighted_sum_rows_pairs)
        << t->name;
    EXPECT_TRUE(t->row_scales4 && t->row_scales8 && t->transpose_packed4 && t->transpose_packed8) << t->name;
    EXPECT_TRUE(t->quantise_probabilities && t->rescale_probabilities) << t->name;
    EXPECT_TRUE(t->weighted_sum_packed4 && t->weighted_sum_packed8) << t->name;
    EXPECT_TRUE(t->peak_f32 && t->peak_bf16 && t->peak_int8) << t->name;
    EXPECT_TRUE(t->gather_rows && t->sum_rows && t->lanes_to_rows_f32 && t->lanes_to_rows_bf16 &&
                t->rows_to_lanes_f32 && t->rows_to_lanes_bf16)
        << t->name;
  }
}

TEST(Dispatch, features_are_named_once_each) {
  Cpu cpu;
  cpu.avx2 = cpu.avx512f = true;
  EXPECT_EQ(feature_names(cpu), "avx2 avx512f");
  EXPECT_EQ(feature_names(Cpu{}), "");
}

}  // namespace
}  // namespace dgemma::kernels
