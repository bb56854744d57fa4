// What displays show for a row (include/dgemma/canvas_rows.h).
#include "dgemma/canvas_rows.h"

#include <gtest/gtest.h>

#include <vector>

namespace dgemma {
namespace {

/// A canvas of one row.
struct OneRow {
  int32_t best = 5, next = 9;
  uint8_t accepted = 0;
  float entropy = 0;
  CanvasDraft draft(int step, bool last = false) {
    CanvasDraft d;
    d.step = step, d.last = last;
    d.best = {&best, 1}, d.next = {&next, 1}, d.accepted = {&accepted, 1}, d.entropy = {&entropy, 1};
    return d;
  }
};

TEST(CanvasRows, before_the_first_step_every_row_is_noise) {
  CanvasRows rows;
  const std::vector<int32_t> input = {3, 4};
  rows.noise(input);
  ASSERT_EQ(rows.rows().size(), 2u);
  EXPECT_EQ(rows.rows()[1].id, 4);
  EXPECT_EQ(rows.rows()[1].state, RowState::kNoise);
}

TEST(CanvasRows, an_unsure_row_shows_the_noise_to_come_and_a_surer_one_its_best_token) {
  CanvasRows rows;
  OneRow row;
  row.entropy = 3;
  rows.update(row.draft(0));
  EXPECT_EQ(rows.rows()[0].state, RowState::kNoise);
  EXPECT_EQ(rows.rows()[0].id, 9);
  row.entropy = 1;
  rows.update(row.draft(1));
  EXPECT_EQ(rows.rows()[0].state, RowState::kDraft);
  EXPECT_EQ(rows.rows()[0].id, 5);
}

TEST(CanvasRows, an_accepted_row_settles_when_its_best_token_stays) {
  CanvasRows rows;
  OneRow row;
  row.accepted = 1;
  rows.update(row.draft(0));
  rows.update(row.draft(1));
  EXPECT_EQ(rows.rows()[0].state, RowState::kAccepted);
  EXPECT_EQ(rows.rows()[0].id, 9) << "the sample";
  rows.update(row.draft(2));
  EXPECT_EQ(rows.rows()[0].state, RowState::kSettled);
  row.best = 6;
  rows.update(row.draft(3));
  EXPECT_EQ(rows.rows()[0].state, RowState::kAccepted) << "changed its mind";
}

TEST(CanvasRows, the_last_step_shows_what_the_canvas_becomes) {
  CanvasRows rows;
  OneRow row;
  row.entropy = 3;
  rows.update(row.draft(0, true));
  EXPECT_EQ(rows.rows()[0].state, RowState::kSettled);
  EXPECT_EQ(rows.rows()[0].id, 5);
}

}  // namespace
}  // namespace dgemma
